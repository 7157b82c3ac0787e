package fleet

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Preflight is what a filter may take in the sandbox, where it is not what the server allows
// each: 0 where the file does not say.
type Preflight struct {
	Off    bool          `json:"off,omitempty"`    // it is not judged there
	Start  time.Duration `json:"start,omitempty"`  // of CPU time, to start and be configured
	Call   time.Duration `json:"call,omitempty"`   // of CPU time, for one call
	Memory int64         `json:"memory,omitempty"` // bytes
}

// What a file may say. V8 gives a module at most 4 GiB.
const (
	maxPreflight       = time.Hour
	minPreflightMemory = 1 << 16
	maxPreflightMemory = 4 << 30
)

// preflight reads a filter's `preflight`: off, or limits.
func (p *parser) preflight(n *yaml.Node) Preflight {
	var out Preflight
	switch n = resolve(n); {
	case n.IsZero():
	case isOff(n):
		out.Off = true
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := out.set(n.Content[i].Value, resolve(n.Content[i+1]).Value); err != nil {
				p.add(n.Content[i].Line, "preflight: %v", err)
			}
		}
	default:
		p.add(n.Line, "preflight: is off, or limits: {start: 60s, call: 1s, memory: 512MiB}")
	}
	return out
}

func (f *Preflight) set(name, text string) (err error) {
	switch name {
	case "start":
		f.Start, err = workTime(name, text)
	case "call":
		f.Call, err = workTime(name, text)
	case "memory":
		f.Memory, err = memorySize(text)
	default:
		err = fmt.Errorf("%q is none of start, call and memory", name)
	}
	return err
}

func workTime(name, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxPreflight {
		return 0, fmt.Errorf("%s is %q, but must be a time from 1ns to %v", name, text, maxPreflight)
	}
	return d, nil
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,10})(KiB|MiB|GiB)?$`)

func memorySize(text string) (int64, error) {
	m := sizePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("memory is %q, but must be a size: 512MiB", text)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // the pattern allows no other
	bytes := float64(n) * math.Pow(2, map[string]float64{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}[m[2]])
	if bytes < minPreflightMemory || bytes > maxPreflightMemory {
		return 0, fmt.Errorf("memory is %q, but must be from 64KiB to 4GiB", text)
	}
	return int64(bytes), nil
}
