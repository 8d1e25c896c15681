package shell

import "strings"

// command is one simple command of a script and the operator behind it: "&&", "||", or
// "" for a semicolon, a newline or the end.
type command struct {
	words []string
	then  string
}

// splitter cuts a script into commands.
type splitter struct {
	text     string
	at       int
	word     strings.Builder
	inWord   bool
	current  command
	commands []command
}

// split cuts a script at ; && || and newlines, and each command into words at blanks.
// Quotes and backslashes work as in a shell; variables stay as they are written. ok is
// false for an open quote, a missing command and every other operator.
func split(text string) (commands []command, ok bool) {
	s := splitter{text: text}
	for s.at < len(s.text) {
		if !s.next() {
			return nil, false
		}
	}
	s.endWord()
	if len(s.current.words) > 0 {
		s.commands = append(s.commands, s.current)
	} else if n := len(s.commands); n > 0 && s.commands[n-1].then != "" {
		return nil, false // the script ends with && or ||
	}
	return s.commands, true
}

func (s *splitter) next() (ok bool) {
	c := s.text[s.at]
	s.at++
	switch c {
	case ' ', '\t', '\r':
		s.endWord()
	case '\n':
		return s.endCommand("")
	case ';':
		s.endWord()
		return len(s.current.words) > 0 && s.endCommand("")
	case '&', '|':
		s.endWord()
		if s.at >= len(s.text) || s.text[s.at] != c || len(s.current.words) == 0 {
			return false
		}
		s.at++
		return s.endCommand(string([]byte{c, c}))
	case '\'', '"':
		return s.quoted(c)
	case '\\':
		s.escaped()
	case '#':
		if !s.inWord {
			s.comment()
			return true
		}
		s.put(c)
	case '(', ')', '<', '>', '`':
		return false
	default:
		s.put(c)
	}
	return true
}

func (s *splitter) put(c byte) {
	s.inWord = true
	s.word.WriteByte(c)
}

func (s *splitter) endWord() {
	if s.inWord {
		s.current.words = append(s.current.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

// endCommand closes the command; an empty line is none, even behind an operator.
func (s *splitter) endCommand(then string) (ok bool) {
	s.endWord()
	if len(s.current.words) == 0 {
		return true
	}
	s.current.then = then
	s.commands = append(s.commands, s.current)
	s.current = command{}
	return true
}

func (s *splitter) quoted(quote byte) (ok bool) {
	s.inWord = true
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		if c == quote {
			return true
		}
		if quote == '"' && c == '\\' && s.at < len(s.text) && strings.IndexByte("\"\\$`\n", s.text[s.at]) >= 0 {
			s.escaped()
			continue
		}
		s.word.WriteByte(c)
	}
	return false
}

// escaped takes the byte after a backslash literally; a newline joins two lines.
func (s *splitter) escaped() {
	if s.at >= len(s.text) {
		s.put('\\')
		return
	}
	c := s.text[s.at]
	s.at++
	if c != '\n' {
		s.put(c)
	}
}

func (s *splitter) comment() {
	if end := strings.IndexByte(s.text[s.at:], '\n'); end >= 0 {
		s.at += end
	} else {
		s.at = len(s.text)
	}
}
