// Answers every request at once, as the app does: with it in the place of a proxy, what is left is the sender's own time.
package main

import (
	"cless/tests/bench/pattern"
	"flag"
	"io"
	"log"
	"net/http"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	flag.Parse()
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, pattern.Head)
	})))
}
