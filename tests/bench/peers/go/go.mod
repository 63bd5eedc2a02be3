module cless/tests/bench/peers/go

go 1.21
