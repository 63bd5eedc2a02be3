module cless/tests/chaos

go 1.22

require cless/tests/bench v0.0.0

replace cless/tests/bench => ../bench
