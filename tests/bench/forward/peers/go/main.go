// Go's own reverse proxy, with a connection pool that fits the load: by default it would keep two connections only.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

const pool = 256

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	to := flag.String("to", "", "the app, such as http://172.18.0.2:8080")
	flag.Parse()
	app, err := url.Parse(*to)
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.MaxIdleConnsPerHost = pool
	transport.MaxIdleConns = pool
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(app)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
	}
	log.Fatal(http.ListenAndServe(*listen, proxy))
}
