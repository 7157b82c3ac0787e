// Package rig is what tests, demo and benchmarks run the server with: its process, real
// Envoys, a service behind them, fleet files, and users who ask all the time. Nothing that
// is shipped imports it.
package rig
