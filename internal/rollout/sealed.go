package rollout

// Only what is listed here is an event, or an effect: nothing else can be handed to Step, or
// come of it.

func (Offered) event()   {}
func (Unfit) event()     {}
func (Stored) event()    {}
func (Joined) event()    {}
func (Left) event()      {}
func (Unbarred) event()  {}
func (Withdrawn) event() {}
func (Fileless) event()  {}
func (Noted) event()     {}
func (Served) event()    {}
func (Refused) event()   {}
func (Troubled) event()  {}
func (Clock) event()     {}
func (Health) event()    {}
func (Probed) event()    {}
func (Counted) event()   {}
func (Hushed) event()    {}
func (Command) event()   {}
func (Tick) event()      {}

func (Store) effect()      {}
func (Retarget) effect()   {}
func (Assign) effect()     {}
func (Again) effect()      {}
func (Offer) effect()      {}
func (Tell) effect()       {}
func (Adopted) effect()    {}
func (NotAdopted) effect() {}
func (LeftBehind) effect() {}
func (MoveAgain) effect()  {}
func (Answer) effect()     {}
