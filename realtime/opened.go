package realtime

// opens tells of the paths that the stream begins with: those that were read, so
// that their rights are known. What the first turn had no room for is told to Added.
func (s *stream) opens(t turn, opened func(follows []Path) error) error {
	s.began = true
	var paths []Path
	for _, u := range t.updates {
		if u.err == nil {
			u.sub.opened = true
			paths = append(paths, u.sub.path)
		}
	}
	if opened == nil {
		return nil
	}
	return opened(paths)
}

// begun tells of those of the paths that were added since the stream began, and of
// each once.
func (s *stream) begun(told []*sub) error {
	var paths []Path
	for _, sub := range told {
		if !sub.opened {
			paths = append(paths, sub.path)
		}
	}
	if !s.began || len(paths) == 0 || s.added == nil {
		return nil
	}
	for _, sub := range told {
		sub.opened = true
	}
	return s.added(paths)
}
