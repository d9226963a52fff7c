package handlers

import (
	"context"
	"net/http"
	"time"

	"connvo/domain"
	"connvo/domain/blocks"
	"connvo/domain/connections"
)

// block is somebody whom the caller blocks.
type block struct {
	UserID    domain.UserID `json:"userId"`
	CreatedAt string        `json:"createdAt" format:"date-time"`
	User      shortCard     `json:"user"`
}

type blockList struct {
	Items      []block `json:"items"`
	NextCursor *string `json:"nextCursor"`
}

type blocksInput struct{ ListParams }

type blockDraft struct {
	Body struct {
		UserID string `json:"userId" minLength:"1" maxLength:"128" doc:"Whom to block."`
	}
}

type blockEnd struct {
	UserID string `path:"userId" maxLength:"128" doc:"Whom to block no more."`
}

// blockRoutes are not recorded for the admins of an organization: whom somebody
// keeps away is nobody else's to read.
func (s *Server) blockRoutes() {
	const all = "/v1/blocks"
	get(s, route{path: all, id: "listBlocks", tag: "Connections", summary: "Whom I block", about: "Newest first."}, s.listBlocks)
	write(s, route{path: all, id: "block", tag: "Connections", status: http.StatusCreated, summary: "Block somebody",
		about: "Neither sees, asks or invites the other from then on, nor is told that the other has named them; a connection or request between them ends. Nobody is told: to each the other is as somebody who is not there. Meetings in which both are stay as they are. At most 1000 people. Repeated it changes nothing."}, s.block)
	write(s, route{method: http.MethodDelete, path: all + "/{userId}", id: "unblock", tag: "Connections", summary: "Block somebody no more",
		about: "What was between the two before does not come back; an invitation by e-mail that the block held back is to be made anew."}, s.unblock)
}

func (s *Server) listBlocks(ctx context.Context, who domain.Actor, in *blocksInput) (blockList, error) {
	key, err := domain.Cursor(in.Cursor).Key(2)
	if err != nil {
		return blockList{}, err
	}
	var after blocks.Block
	if key != nil {
		after.User = domain.UserID(key[1])
		if after.CreatedAt, err = time.Parse(domain.TimeFormat, key[0]); err != nil {
			return blockList{}, domain.Because(domain.Malformed, err, "the cursor is not one that this server gave")
		}
	}
	list, more, err := s.Connections.Blocks(ctx, who, after, in.Limit)
	page := blockList{Items: make([]block, len(list))}
	for i, b := range list {
		page.Items[i] = blockOf(b)
	}
	if more {
		last := list[len(list)-1]
		next := string(domain.NewCursor(instant(last.CreatedAt), string(last.User)))
		page.NextCursor = &next
	}
	return page, err
}

func (s *Server) block(ctx context.Context, who domain.Actor, in *blockDraft) (block, error) {
	b, err := s.Connections.Block(ctx, who, domain.UserID(in.Body.UserID))
	return blockOf(b), err
}

func (s *Server) unblock(ctx context.Context, who domain.Actor, in *blockEnd) (nothing, error) {
	return nothing{}, s.Connections.Unblock(ctx, who, domain.UserID(in.UserID))
}

func blockOf(b connections.Blocked) block {
	return block{UserID: b.User, CreatedAt: instant(b.CreatedAt), User: shortCard{DisplayName: b.Card.DisplayName, AvatarURL: text(b.Card.AvatarURL)}}
}
