package control

import (
	"reflect"
	"testing"

	"github.com/waxwing-xds/waxwing/internal/api"
	"github.com/waxwing-xds/waxwing/internal/api/apitest"
	"github.com/waxwing-xds/waxwing/internal/fleet"
)

// Whatever a match can say in a fleet file, it can in a question.
func TestNoCriterionIsForgotten(t *testing.T) {
	var asked api.Match
	var want fleet.Match
	apitest.Fill(&asked)
	apitest.Fill(&want)
	if got := supposedOf(api.Claim{Match: asked}).match; !reflect.DeepEqual(got, want) {
		t.Errorf("taken as %+v, want %+v", got, want)
	}
}
