package messages

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"unicode/utf8"

	"connvo/domain"
)

// The bounds of attachments.
const (
	MaxAttachments = 10
	MaxURL         = 2048 // characters, what browsers and proxies agree on
	MaxName        = 200  // characters
	MaxContentType = 127  // characters, what RFC 6838 recommends for a type, doubled
)

// Attachment is a file that lies elsewhere. Nothing fetches it, and nothing but
// URL is known to be true of it.
type Attachment struct {
	URL         string
	Name        string // "" when none was given
	ContentType string // "" when none was given
	SizeBytes   *int64 // nil when none was given
}

// checkAttachments refuses what is no address of a file that may be shown.
func checkAttachments(all []Attachment) error {
	if len(all) > MaxAttachments {
		return domain.FailField("body.attachments", "are more than %d", MaxAttachments)
	}
	for i, a := range all {
		at := fmt.Sprintf("body.attachments[%d].", i)
		u, err := url.Parse(a.URL)
		switch {
		case err != nil, utf8.RuneCountInString(a.URL) > MaxURL, strings.ContainsFunc(a.URL, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			return domain.FailField(at+"url", "is no URL of at most %d characters", MaxURL)
		case u.Scheme != "http" && u.Scheme != "https":
			return domain.FailField(at+"url", "must begin with http or https")
		case u.Hostname() == "":
			return domain.FailField(at+"url", "names no host")
		case u.User != nil:
			return domain.FailField(at+"url", "must not contain credentials: everyone in the meeting would read them")
		case utf8.RuneCountInString(a.Name) > MaxName:
			return domain.FailField(at+"name", "is longer than %d characters", MaxName)
		case a.SizeBytes != nil && (*a.SizeBytes < 0 || *a.SizeBytes >= domain.MaxNumber):
			return domain.FailField(at+"sizeBytes", "is no size")
		}
		if a.ContentType == "" {
			continue
		}
		if t, _, err := mime.ParseMediaType(a.ContentType); err != nil || !strings.Contains(t, "/") || len(a.ContentType) > MaxContentType {
			return domain.FailField(at+"contentType", "is no media type such as image/png")
		}
	}
	return nil
}

// stored is an attachment in the row of its message.
type stored struct {
	URL         string `json:"url"`
	Name        string `json:"name,omitempty"`
	ContentType string `json:"type,omitempty"`
	SizeBytes   *int64 `json:"size,omitempty"`
}

// encode returns the attachments as they are stored: "" for none.
func encode(all []Attachment) string {
	if len(all) == 0 {
		return ""
	}
	list := make([]stored, len(all))
	for i, a := range all {
		list[i] = stored(a)
	}
	b, _ := json.Marshal(list) // strings and numbers always encode
	return string(b)
}

// decode returns the attachments that encode stored.
func decode(text string) ([]Attachment, error) {
	if text == "" {
		return nil, nil
	}
	var list []stored
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("attachments: %w", err)
	}
	all := make([]Attachment, len(list))
	for i, s := range list {
		all[i] = Attachment(s)
	}
	return all, nil
}
