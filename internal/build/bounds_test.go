package build

import (
	"fmt"
	"strings"
	"testing"
)

// A folder of more fleet files than are read is said of those that are too many; the others are served.
func TestTooManyFleetFiles(t *testing.T) {
	inBubble(t, "fleets", func(t *testing.T, d *disk) {
		all := map[string]string{}
		for i := range maxFiles {
			all[fmt.Sprintf("%04d.yaml", i)] = plainYAML(fmt.Sprint("fleet-", i), 1)
		}
		d.save(all)
		if _, built := d.says(); len(built) != maxFiles {
			t.Fatalf("%d were built", len(built))
		}
		one := map[string]string{"more.yaml": plainYAML("more", 1)}
		d.save(one)
		saved, built := d.says()
		if err := saved[0].Files[0].Err; err == nil || !strings.Contains(err.Error(), "more.yaml: there are 1000 fleet files already") || len(built) > 0 {
			t.Errorf("one more: %v, built %v", err, built)
		}
		d.save(map[string]string{"0000.yaml": gone, "more.yaml": gone})
		d.says()
		d.save(one)
		d.wantBuilt(t, "more")
	})
}
