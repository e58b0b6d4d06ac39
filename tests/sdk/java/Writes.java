// SPDX-License-Identifier: MIT
// Writes with Java's own HTTP client as it comes: over plain HTTP it offers HTTP/2 with every request.
// Arguments: the server's address and a token. Prints a line for each request: its method and path, and the status.

import java.io.ByteArrayInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

public class Writes {
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static String server;
    static String token;

    static HttpRequest request(String method, String path, BodyPublisher body) {
        return HttpRequest.newBuilder(URI.create(server + "/api/v1" + path))
                .header("Authorization", "Bearer " + token)
                .header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(20))
                .method(method, body)
                .build();
    }

    static void call(String method, String path, BodyPublisher body) throws Exception {
        HttpResponse<String> response = CLIENT.send(request(method, path, body), BodyHandlers.ofString());
        System.out.println(method + " " + path + " " + response.statusCode());
    }

    static BodyPublisher text(String body) {
        return BodyPublishers.ofString(body);
    }

    public static void main(String[] args) throws Exception {
        server = args[0];
        token = args[1];
        String message = "{\"eventType\":\"a.b\",\"payload\":{\"a\":1}}";
        String big = "{\"eventType\":\"a.b\",\"payload\":{\"a\":\"" + "x".repeat(1_000_000) + "\"}}";

        call("POST", "/app", text("{\"name\":\"x\",\"uid\":\"java\"}"));
        call("GET", "/app/java", BodyPublishers.noBody());
        call("PUT", "/app/java", text("{\"name\":\"y\",\"uid\":\"java\"}"));
        call("PATCH", "/app/java", text("{\"name\":\"z\"}"));
        call("POST", "/app/java/endpoint", text("{\"url\":\"http://example.com/\",\"uid\":\"one\"}"));
        call("POST", "/app/java/msg", text(message));
        call("POST", "/app/java/msg", text(big));
        call("POST", "/app/java/msg", BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(message.getBytes())));
        call("POST", "/app/java/msg", text("{}"));
        call("POST", "/app/java/msg/batch", text("{\"messages\":[" + message + "]}"));

        List<CompletableFuture<HttpResponse<String>>> many = new ArrayList<>();
        for (int n = 0; n < 50; n++) {
            many.add(CLIENT.sendAsync(request("POST", "/app/java/msg", text(message)), BodyHandlers.ofString()));
        }
        long accepted = 0;
        for (CompletableFuture<HttpResponse<String>> each : many) {
            accepted += each.get().statusCode() == 202 ? 1 : 0;
        }
        System.out.println("at once " + accepted);

        call("DELETE", "/app/java/endpoint/one", BodyPublishers.noBody());
        call("DELETE", "/app/java", BodyPublishers.noBody());
    }
}
