module cless/tests/bench/app

go 1.21
