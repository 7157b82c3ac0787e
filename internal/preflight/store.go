package preflight

import "fmt"

// store is what the VMs of a filter share, the ones that come later with those
// before: Envoy's workers do, each of which has a VM, and so does the VM that
// Envoy starts first to see whether it can. What configures itself only once for
// all of them therefore shows here too. SharedData and SharedQueue of
// proxy-wasm-cpp-host.
type store struct {
	data    map[string]shared
	cas     uint32
	queues  map[string]uint32 // tokens by name
	waiting map[uint32][]string
	metrics map[uint32]uint64 // values by id
	ids     map[string]uint32 // of metrics, by type and name
	bytes   uint64            // that are kept for all this
}

type shared struct {
	value string
	cas   uint32
}

// maxDefined bounds queues and metrics.
const maxDefined = 10_000

// perMessage is what a message in a queue takes besides its bytes.
const perMessage = 48

// unbounded is what is said of a module that has too many of something.
func unbounded(what string) stopped {
	return stopped(fmt.Sprintf("it defines more than %d %s: with each of them a proxy's memory grows for good", maxDefined, what))
}

func newStore() *store {
	return &store{
		data: map[string]shared{}, queues: map[string]uint32{}, waiting: map[uint32][]string{},
		metrics: map[uint32]uint64{}, ids: map[string]uint32{},
	}
}

// share reports whether so many bytes more may be kept in the store.
func (v *vm) share(n int, what string) bool {
	if !v.memory.keep(n, what) {
		return false
	}
	v.bytes += uint64(n)
	return true
}

// unshare gives bytes back.
func (v *vm) unshare(n int) {
	v.bytes -= uint64(n)
	v.memory.kept -= uint64(n)
}

// named is what the functions have in common whose first argument is a name.
func (c *call) named(do func(name string) status) status {
	name, readable := c.text(0)
	if !readable {
		return invalidMemoryAccess
	}
	return do(name)
}

func (c *call) getSharedData() status {
	return c.named(func(key string) status {
		d, there := c.vm.data[key]
		if !there {
			return notFound
		}
		if result := c.give(2, []byte(d.value)); result != ok {
			return result
		}
		return c.put32(4, d.cas)
	})
}

func (c *call) setSharedData() status {
	key, ok1 := c.text(0)
	value, ok2 := c.text(2)
	expected := c.u32(4)
	d, there := c.vm.data[key]
	switch {
	case !ok1 || !ok2:
		return invalidMemoryAccess
	case there && expected != 0 && expected != d.cas:
		return casMismatch
	}
	if there {
		c.vm.unshare(perEntry + len(key) + len(d.value))
	}
	if !c.vm.share(perEntry+len(key)+len(value), "shared data") {
		delete(c.vm.data, key)
		return internalFailure
	}
	c.vm.cas++
	c.vm.data[key] = shared{value, c.vm.cas}
	return ok
}

func (c *call) registerQueue() status {
	return c.named(func(name string) status {
		token, there := c.vm.queues[name]
		if !there {
			if len(c.vm.queues) >= maxDefined {
				panic(unbounded("shared queues"))
			}
			if !c.vm.share(perEntry+len(name), "shared queues") {
				return internalFailure
			}
			token = uint32(len(c.vm.queues) + 1)
			c.vm.queues[name] = token
		}
		return c.put32(2, token)
	})
}

// resolveQueue knows the queues of this VM only, by whatever id it is named.
func (c *call) resolveQueue() status {
	_, ok1 := c.bytes(0)
	name, ok2 := c.text(2)
	if !ok1 || !ok2 {
		return invalidMemoryAccess
	}
	token, there := c.vm.queues[name]
	if !there {
		return notFound
	}
	return c.put32(4, token)
}

func (c *call) enqueue() status {
	token := c.u32(0)
	value, readable := c.text(1)
	switch {
	case !readable:
		return invalidMemoryAccess
	case token == 0 || int(token) > len(c.vm.queues):
		return notFound
	case !c.vm.share(len(value)+perMessage, "messages in shared queues"):
		return internalFailure
	}
	c.vm.waiting[token] = append(c.vm.waiting[token], value)
	if len(c.vm.ready) < maxSteps { // more are not told of, and the module may take out as it puts in
		c.vm.ready = append(c.vm.ready, token)
	}
	return ok
}

func (c *call) dequeue() status {
	token := c.u32(0)
	if token == 0 || int(token) > len(c.vm.queues) {
		return notFound
	}
	queue := c.vm.waiting[token]
	if len(queue) == 0 {
		return empty
	}
	message := queue[0]
	queue[0] = "" // what is behind the slice holds on to it
	c.vm.waiting[token] = queue[1:]
	c.vm.unshare(len(message) + perMessage)
	return c.give(1, []byte(message))
}

// Types of metrics; a metric's type is the lowest two bits of its id.
const (
	counter    = 0
	gauge      = 1
	histogram  = 2
	metricType = 3
)

func (c *call) defineMetric() status {
	name, readable := c.text(1)
	kind := c.u32(0)
	switch {
	case !readable:
		return invalidMemoryAccess
	case kind > histogram:
		return badArgument
	}
	key := string(rune('0'+kind)) + name
	id, there := c.vm.ids[key]
	if !there {
		if len(c.vm.ids) >= maxDefined {
			panic(unbounded("metrics"))
		}
		if !c.vm.share(2*perEntry+len(name), "metrics") {
			return internalFailure
		}
		id = uint32(len(c.vm.ids)+1)*4 + kind
		c.vm.ids[key] = id
		c.vm.metrics[id] = 0
	}
	return c.put32(3, id)
}

// simple is the value of a metric that is no histogram.
func (c *call) simple(id uint32) (value uint64, s status) {
	value, there := c.vm.metrics[id]
	switch {
	case id&metricType > gauge:
		return 0, badArgument
	case !there:
		return 0, notFound
	}
	return value, ok
}

func (c *call) incrementMetric() status {
	id, by := c.u32(0), int64(c.stack[1])
	value, s := c.simple(id)
	if s != ok {
		return s
	}
	if id&metricType == counter && by <= 0 {
		return badArgument
	}
	c.vm.metrics[id] = value + uint64(by)
	return ok
}

func (c *call) recordMetric() status {
	id, value := c.u32(0), c.stack[1]
	before, there := c.vm.metrics[id]
	switch {
	case !there:
		return notFound
	case id&metricType == counter:
		value += before
	}
	c.vm.metrics[id] = value
	return ok
}

func (c *call) getMetric() status {
	value, s := c.simple(c.u32(0))
	if s != ok {
		return s
	}
	return c.put64(1, value)
}
