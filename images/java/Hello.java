import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** Answers every GET with one line that names the host asked for. */
public final class Hello {
    private static final String GREETING = System.getenv().getOrDefault("GREETING", "Hello");
    private static final int WORKERS = 200;
    private static final int BACKLOG = 1024;

    public static void main(String[] args) throws IOException {
        var workers = Executors.newFixedThreadPool(WORKERS);
        var server = HttpServer.create(new InetSocketAddress("0.0.0.0", 8080), BACKLOG);
        server.createContext("/", Hello::hello);
        server.setExecutor(workers);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server, workers)));
        server.start();
    }

    private static void hello(HttpExchange exchange) throws IOException {
        try (exchange) {
            var method = exchange.getRequestMethod();
            var headers = exchange.getResponseHeaders();
            if (!method.equals("GET") && !method.equals("HEAD")) {
                headers.set("Allow", "GET, HEAD");
                exchange.sendResponseHeaders(405, -1);
                return;
            }
            var host = exchange.getRequestHeaders().getFirst("Host");
            var name = host == null ? "" : host.replaceFirst(":\\d*$", "");
            var body = "%s from Java at %s\n".formatted(GREETING, name).getBytes(StandardCharsets.UTF_8);
            headers.set("Content-Type", "text/plain; charset=utf-8");
            if (method.equals("HEAD")) {
                headers.set("Content-Length", Integer.toString(body.length));
                exchange.sendResponseHeaders(200, -1);
            } else {
                exchange.sendResponseHeaders(200, body.length);
                exchange.getResponseBody().write(body);
            }
        }
    }

    /** Answers the requests that have arrived, then closes everything. */
    private static void stop(HttpServer server, ExecutorService workers) {
        try {
            Thread.sleep(100); // what has arrived reaches a worker
            workers.shutdown();
            workers.awaitTermination(400, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        server.stop(0);
        Runtime.getRuntime().halt(0); // a JVM ended by SIGTERM exits with 143 otherwise
    }
}
