module golang-docker

go 1.24
