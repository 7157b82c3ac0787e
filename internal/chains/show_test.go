package chains

import "testing"

func TestShow(t *testing.T) {
	c := testChain(*seed)
	for i, s := range c.Steps {
		t.Logf("step %d %s\n%s", i, s.What, s.Fleet)
	}
}
