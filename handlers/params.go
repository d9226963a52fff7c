package handlers

import (
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"connvo/domain"
)

// LiveParams are the parameters of every GET that can be live. (Exported, like
// the others here, because huma looks into exported embedded structs only.)
type LiveParams struct {
	Heartbeat   int            `query:"heartbeat" minimum:"1" maximum:"30" doc:"Seconds between heartbeats of a live stream; 15 when left out."`
	LastEventID optionalString `query:"lastEventId" maxLength:"64" doc:"Where a live stream goes on, for a first connect; later the Last-Event-ID header says it."`
	Ticket      string         `query:"ticket" maxLength:"64" doc:"Opens a live stream without a token, where a header cannot be sent: what POST /v1/stream-tickets gives."`
}

func (p *LiveParams) live() *LiveParams { return p }

// ListParams are the parameters of every list.
type ListParams struct {
	LiveParams
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Items on the page."`
	Cursor string `query:"cursor" maxLength:"512" doc:"The nextCursor of the page before."`
}

// FeedParams are the parameters of every feed.
type FeedParams struct {
	LiveParams
	Limit  int         `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items on the page."`
	After  optionalInt `query:"after" minimum:"0" maximum:"9007199254740991" doc:"Items that follow this position, oldest first."`
	Before optionalInt `query:"before" minimum:"0" maximum:"9007199254740991" doc:"The page that ends before this position."`
}

func (p *FeedParams) feed() *FeedParams { return p }

// span returns the part of the feed that is asked for.
func (p *FeedParams) span() (domain.Span, error) {
	if p.After.set && p.Before.set {
		return domain.Span{}, domain.FailField("query.before", "cannot be given together with after")
	}
	s := domain.Span{Limit: p.Limit}
	if p.After.set {
		s.After = &p.After.value
	}
	if p.Before.set {
		s.Before = &p.Before.value
	}
	return s, nil
}

// MeetingParam names the meeting in the path.
type MeetingParam struct {
	MeetingID string `path:"meetingId" maxLength:"128" doc:"The meeting's id."`
}

func (p MeetingParam) meeting() domain.MeetingID { return domain.MeetingID(p.MeetingID) }

// instantParam is an instant that may be left out, and is zero then. Huma's own
// tells whoever writes a wrong one about layouts of Go.
type instantParam struct{ time.Time }

// UnmarshalText reads an instant of RFC 3339.
func (i *instantParam) UnmarshalText(text []byte) (err error) {
	if i.Time, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
		return errors.New("write an instant of RFC 3339, such as 2026-03-01T12:00:00Z")
	}
	return nil
}

// Schema describes it as the text it is.
func (i instantParam) Schema(huma.Registry) *huma.Schema {
	most := len("2026-03-01T12:00:00.000000000+00:00")
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", MaxLength: &most}
}

// maybeTime is an instant in a body that may be left out, or be null, which takes away
// what there is.
type maybeTime struct {
	value *time.Time // nil where there is none
	null  bool
}

// UnmarshalJSON is called for null too, and not for what is left out.
func (m *maybeTime) UnmarshalJSON(sent []byte) error {
	m.null = string(sent) == "null"
	return json.Unmarshal(sent, &m.value)
}

// Schema describes it as the instant it is, or null.
func (m maybeTime) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Nullable: true}
}

// optionalInt is a whole number that may be left out, which huma's own
// parameters cannot tell from 0.
type optionalInt struct {
	value int64
	set   bool
}

// Receiver, OnParamSet and Schema make it a parameter for huma.
func (o *optionalInt) Receiver() reflect.Value { return reflect.ValueOf(&o.value).Elem() }

// OnParamSet notes that the parameter was sent.
func (o *optionalInt) OnParamSet(isSet bool, _ any) { o.set = isSet }

// Schema describes it as the number it is.
func (o optionalInt) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[int64](), true, "")
}

// optionalString is a text that may be left out, which is not the same as empty.
type optionalString struct {
	value string
	set   bool
}

// Receiver, OnParamSet and Schema make it a parameter for huma.
func (o *optionalString) Receiver() reflect.Value { return reflect.ValueOf(&o.value).Elem() }

// OnParamSet notes that the parameter was sent.
func (o *optionalString) OnParamSet(isSet bool, _ any) { o.set = isSet }

// Schema describes it as the text it is.
func (o optionalString) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[string](), true, "")
}
