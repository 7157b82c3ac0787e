package main

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/waxwing-xds/waxwing/internal/preflight"
)

// junitSuites is a report as CI systems read it: JUnit XML, whose two schemas in use it keeps to.
// https://github.com/windyroad/JUnit-Schema and junit-10.xsd of https://github.com/jenkinsci/xunit-plugin
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	ID         int         `xml:"id,attr"`
	Package    string      `xml:"package,attr"`
	Name       string      `xml:"name,attr"`
	Timestamp  string      `xml:"timestamp,attr"` // UTC, without a zone
	Hostname   string      `xml:"hostname,attr"`
	Tests      int         `xml:"tests,attr"`
	Failures   int         `xml:"failures,attr"`
	Errors     int         `xml:"errors,attr"`
	Skipped    int         `xml:"skipped,attr"`
	Time       string      `xml:"time,attr"` // seconds
	Properties struct{}    `xml:"properties"`
	Cases      []junitCase `xml:"testcase"`
	Out        string      `xml:"system-out"`
	Err        string      `xml:"system-err"`
}

// junitCase is a check, or another thing that a filter must do; one of its three at most is there.
type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"` // seconds
	Failure *junitFailure `xml:"failure"`
	Error   *junitFailure `xml:"error"`
	Skipped *junitSkipped `xml:"skipped"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

// writeJUnit writes what came of a trial to a file.
func (t *trial) writeJUnit(path string, began time.Time) error {
	text, err := xml.MarshalIndent(t.junit(began), "", "  ") // XML can't have some characters: these are replaced
	if err != nil {
		return fmt.Errorf("--junit: %w", err)
	}
	if err := os.WriteFile(path, append([]byte(xml.Header), append(text, '\n')...), 0o644); err != nil {
		return fmt.Errorf("--junit: %w", err)
	}
	return nil
}

func (t *trial) junit(began time.Time) junitSuites {
	var out junitSuites
	for _, r := range t.Filters {
		out.add(r.junit(), began)
	}
	if len(t.unread) > 0 {
		s := junitSuite{Name: "files", Package: "xds"}
		for i, text := range t.unread {
			s.Cases = append(s.Cases, junitCase{Name: fmt.Sprintf("error %d", i+1), Class: "files", Error: failure("fleet", text)})
		}
		out.add(s, began)
	}
	return out
}

// add completes a suite by what its cases are.
func (s *junitSuites) add(suite junitSuite, began time.Time) {
	suite.ID, suite.Hostname, suite.Timestamp = len(s.Suites), "localhost", began.UTC().Format("2006-01-02T15:04:05")
	suite.Tests = len(suite.Cases)
	suite.Time = cmp.Or(suite.Time, seconds(0))
	for i, c := range suite.Cases {
		suite.Cases[i].Time = cmp.Or(c.Time, seconds(0))
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	s.Suites = append(s.Suites, suite)
}

// junit is a filter: whether it starts, its checks, and what nobody thought of.
func (r tried) junit() junitSuite {
	s := junitSuite{Name: r.name(), Package: cmp.Or(r.Fleet, "xds"), Time: seconds(r.Milliseconds)}
	if r.Fleet != "" {
		s.Name = r.Fleet + "/" + r.name()
	}
	start := junitCase{Name: "start", Class: s.Name}
	if !r.Passed && r.Step != preflight.StepCheck && r.Step != preflight.StepHostile {
		start.Error = failure(string(r.Step), r.Error)
	}
	s.Cases = append(s.Cases, start)
	for _, a := range slices.Concat(r.Asked, r.Routed) {
		s.Cases = append(s.Cases, a.junit(s.Name))
	}
	if r.Hostile > 0 {
		hostile := junitCase{Name: "hostile", Class: s.Name}
		if !r.Passed && r.Step == preflight.StepHostile {
			hostile.Failure = failure("hostile", r.Error)
		}
		s.Cases = append(s.Cases, hostile)
	}
	s.Out = strings.Join(coverageLines(r.Coverage, len(r.Asked) > 0, true), "\n")
	s.Err = strings.Join(r.Warnings, "\n")
	return s
}

func (a asked) junit(class string) junitCase {
	c := junitCase{Name: a.Name, Class: class, Time: seconds(a.Milliseconds)}
	switch a.Result {
	case failed:
		c.Failure = failure("check", a.Error)
	case skipped:
		c.Skipped = &junitSkipped{a.Error}
	case notAsked:
		c.Skipped = &junitSkipped{"not asked: the filter did not come so far"}
	case passed:
	}
	return c
}

func failure(kind, text string) *junitFailure {
	return &junitFailure{Message: text, Type: kind, Text: text}
}

func seconds(milliseconds float64) string { return fmt.Sprintf("%.3f", milliseconds/1000) }
