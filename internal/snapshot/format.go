package snapshot

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Format is that of the state directory's files, which each of them says as
// "format": of the revisions, and of the fleets' states (internal/control).
//
//	0  it says none, and most fields have the names they had in Go
//	1  fields have names of their own, in snake_case
//	2  of revisions only, see metaFormat
//
// A field that an older server does without is added as it is, with omitempty. A
// change that an older one would misread takes the next number: it then leaves the
// directory alone, and says so. What an older format says stays readable.
const Format = 1

// metaFormat is that of a revision with checks that servers before would misread: bytes that
// are no text, bodies, more than one status, and what is expected besides.
const metaFormat = 2

// A NewerFormatError says that a file is of a server newer than this one.
type NewerFormatError struct {
	Format int
	newest int // that is read
}

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("it is of format %d, and this server reads formats up to %d: a newer one has written it", e.Format, e.newest)
}

// savedMeta is a revision's Meta on disk.
type savedMeta struct {
	Format int `json:"format"`
	Meta
}

func writeMeta(m Meta) ([]byte, error) {
	format := Format
	if slices.ContainsFunc(m.Checks, func(c Check) bool { return !c.Plain() }) {
		format = metaFormat
	}
	return json.Marshal(savedMeta{format, m})
}

func readMeta(data []byte) (Meta, error) {
	format, err := formatOf(data, metaFormat)
	if err != nil {
		return Meta{}, err
	}
	if format == 0 {
		return readMeta0(data)
	}
	var saved savedMeta
	err = json.Unmarshal(data, &saved)
	return saved.Meta, err
}

// FormatOf is the format that a file says it has. All else in a newer one may be
// anything: it is not looked at.
func FormatOf(data []byte) (int, error) { return formatOf(data, Format) }

func formatOf(data []byte, newest int) (int, error) {
	var file struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return 0, err
	}
	if file.Format > newest {
		return 0, &NewerFormatError{file.Format, newest}
	}
	return file.Format, nil
}

// readMeta0 reads format 0. JSON's names are matched whatever their case: what
// differs otherwise is named here.
func readMeta0(data []byte) (Meta, error) {
	var m Meta
	var old struct {
		NoShadow []string
		Rollout  struct {
			Limits struct{ MinRequests int }
			Stages []struct {
				Match struct{ Locality struct{ SubZone string } }
			}
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return Meta{}, err
	}
	if err := json.Unmarshal(data, &old); err != nil {
		return Meta{}, err
	}
	m.NoShadow = old.NoShadow
	m.Rollout.Limits.MinRequests = old.Rollout.Limits.MinRequests
	for i, stage := range old.Rollout.Stages {
		m.Rollout.Stages[i].Match.Locality.SubZone = stage.Match.Locality.SubZone
	}
	return m, nil
}

// ReadMatch0 reads a fleet's match of format 0.
func ReadMatch0(data []byte) (fleet.Match, error) {
	var m fleet.Match
	var old struct{ Locality struct{ SubZone string } }
	if err := json.Unmarshal(data, &m); err != nil {
		return fleet.Match{}, err
	}
	if err := json.Unmarshal(data, &old); err != nil {
		return fleet.Match{}, err
	}
	m.Locality.SubZone = old.Locality.SubZone
	return m, nil
}
