//go:build !linux

package main

// Processes can't be kept apart here.
func ownProcessor() (func(), error) { return func() {}, nil }

func otherProcessor(int) error { return nil }
