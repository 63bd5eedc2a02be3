module cless/tests/bench

go 1.21
