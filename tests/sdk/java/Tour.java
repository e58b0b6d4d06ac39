// SPDX-License-Identifier: MIT
// Every method that the official SDK for Java has for operations of the service, each once or more, with a look at its
// result. tests/sdk/go and tests/sdk/rust do the same; the test records which operations were called.
// Takes {"url", "token", "receiver", "secret"} as JSON on standard input, and prints the SDK's version.

import com.fasterxml.jackson.databind.ObjectMapper;
import com.svix.Svix;
import com.svix.SvixOptions;
import com.svix.Version;
import com.svix.api.Connector;
import com.svix.api.Environment;
import com.svix.api.Health;
import com.svix.exceptions.ApiException;
import com.svix.models.*;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

public class Tour {
    interface Call {
        void run() throws Exception;
    }

    static final String TYPE = "tour.done";
    static final String SCRIPT = "function handler(webhook) { return webhook; }";
    static final URI URL = URI.create("https://example.com/in");
    static final long END = System.nanoTime() + 200_000_000_000L;
    static String server;
    static String receiver;
    static String secret;
    static Svix svix;
    static String app;
    static String endpoint;

    /** Exits by itself: the threads of the SDK's HTTP client would keep the process for a minute. */
    public static void main(String[] args) {
        try {
            run();
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    static void run() throws Exception {
        var given = new ObjectMapper().readTree(System.in);
        server = given.get("url").asText();
        receiver = given.get("receiver").asText();
        secret = given.get("secret").asText();
        svix = client(given.get("token").asText());
        new Health(svix.getHttpClient()).get(); // the client of this release has no member for it
        eventTypes();
        applications();
        endpoints();
        headersAndScript();
        messages();
        tasks();
        portal();
        integrations();
        connectors();
        environment();
        operational();
        svix.getApplication().delete(app);
        refused(404, () -> svix.getApplication().get(app));
        System.out.println(Version.VERSION);
    }

    static void eventTypes() throws Exception {
        var api = svix.getEventType();
        var schemas = Map.of("1", Map.of("type", "object", "examples", List.of(Map.of("n", 1))));
        same(TYPE, api.create(new EventTypeIn().name(TYPE).description("d").schemas(schemas)).getName());
        same("e", api.update("tour.over", new EventTypeUpdate().description("e")).getDescription());
        var patched = api.patch(TYPE, new EventTypePatch().groupName("tour"));
        same(List.of("tour", "d"), List.of(patched.getGroupName(), patched.getDescription()));
        same(patched.getUpdatedAt(), api.get(TYPE).getUpdatedAt());
        api.delete("tour.over");
        same(1, api.list().getData().size());
        var spec = Map.of("openapi", "3.1.0", "webhooks", Map.of("pet.new", Map.of()));
        var planned = api.importOpenapi(new EventTypeImportOpenApiIn().spec(spec).dryRun(true)).getData();
        same(List.of("pet.new", "pet.new"), List.of(planned.getModified().get(0), planned.getToModify().get(0).getName()));
        same(List.of("pet.new"), api.importOpenapi(new EventTypeImportOpenApiIn().spec(spec)).getData().getModified());
    }

    static void applications() throws Exception {
        var api = svix.getApplication();
        app = api.create(new ApplicationIn().name("Tour").uid("tour")).getId();
        same(app, api.getOrCreate(new ApplicationIn().name("Other").uid("tour")).getId());
        same("Put", api.update("tour", new ApplicationIn().name("Put").uid("tour")).getName());
        same("Patched", api.patch(app, new ApplicationPatch().name("Patched")).getName());
        same("Patched", api.get("tour").getName());
        same(app, api.list().getData().get(0).getId());
    }

    static void endpoints() throws Exception {
        var api = svix.getEndpoint();
        var made = api.create(app, new EndpointIn().url(URL).uid("ep").secret(secret));
        same(made.getId(), api.list(app).getData().get(0).getId());
        same("put", api.update(app, made.getId(), new EndpointUpdate().url(URL).uid("put")).getUid());
        same(Set.of("c"), api.patch(app, "put", new EndpointPatch().channels(Set.of("c"))).getChannels());
        same(Set.of("c"), api.get(app, "put").getChannels());
        same(secret, api.getSecret(app, "put").getKey());
        api.rotateSecret(app, "put", new EndpointSecretRotateIn());
        same(false, secret.equals(api.getSecret(app, "put").getKey()));
        same(0L, api.getStats(app, "put").getSuccess());
    }

    static void headersAndScript() throws Exception {
        var api = svix.getEndpoint();
        api.updateHeaders(app, "put", new EndpointHeadersIn().headers(Map.of("x-a", "1")));
        var more = new EndpointHeadersPatchIn().headers(Map.of("x-b", "2")).deleteHeaders(List.of("x-a"));
        api.patchHeaders(app, "put", more);
        same(Map.of("x-b", "2"), api.getHeaders(app, "put").getHeaders());
        api.patchTransformation(app, "put", new EndpointTransformationPatch().code(SCRIPT).enabled(false));
        same(SCRIPT, api.transformationGet(app, "put").getCode());
        var older = new EndpointTransformationIn().code(SCRIPT + " // 2").enabled(false);
        api.transformationPartialUpdate(app, "put", older);
        same(SCRIPT + " // 2", api.transformationGet(app, "put").getCode());
        api.delete(app, "put");
    }

    /** Sends a message and an example to the receiver, and reads everything about them. */
    static void messages() throws Exception {
        endpoint = svix.getEndpoint().create(app, new EndpointIn().url(URI.create(receiver)).secret(secret)).getId();
        configureReceiver();
        var api = svix.getMessage();
        var attempts = svix.getMessageAttempt();
        same(true, api.precheck(app, new MessagePrecheckIn().eventType(TYPE)).getActive());
        var one = api.create(app, new MessageIn().eventType(TYPE).eventId("one").payload("{\"n\":1}")).getId();
        var first = tried(1).get(0);
        same(List.of(one, MessageStatus.SUCCESS), List.of(first.getMsgId(), first.getStatus()));
        same(one, api.get(app, "one").getId());
        same(one, api.list(app).getData().get(0).getId());
        same(first.getId(), attempts.listByMsg(app, one).getData().get(0).getId());
        same((short) 200, attempts.get(app, one, first.getId()).getResponseStatusCode());
        same(one, attempts.listAttemptedMessages(app, endpoint).getData().get(0).getId());
        same(endpoint, attempts.listAttemptedDestinations(app, one).getData().get(0).getId());
        var example = svix.getEndpoint().sendExample(app, endpoint, new EventExampleIn().eventType(TYPE));
        same(example.getId(), tried(2).get(0).getMsgId());
        attempts.expungeContent(app, one, first.getId());
        same("EXPUNGED", attempts.get(app, one, first.getId()).getResponse());
        api.expungeContent(app, one);
        same(Map.of("expired", true), api.get(app, one).getPayload());
        unsent(() -> attempts.resend(app, one, endpoint));
    }

    /** Runs every background task that has a method. */
    static void tasks() throws Exception {
        var since = OffsetDateTime.now().minusHours(1);
        var api = svix.getEndpoint();
        var recover = api.recover(app, endpoint, new RecoverIn().since(since));
        same("endpoint.recover finished", ended(recover.getId()));
        var missing = api.replayMissing(app, endpoint, new ReplayIn().since(since));
        same("endpoint.replay finished", ended(missing.getId()));
        var again = api.bulkReplay(app, endpoint, new BulkReplayIn().since(since).eventTypes(Set.of("pet.new")));
        same("endpoint.bulk-replay finished", ended(again.getId()));
        var usage = new AppUsageStatsIn().since(since).until(since.plusHours(2)).appIds(Set.of(app, "nobody"));
        var stats = svix.getStatistics().aggregateAppStats(usage);
        same(Set.of("nobody"), stats.getUnresolvedAppIds());
        same("application.stats finished", ended(stats.getId()));
        unsent(() -> svix.getStatistics().aggregateEventTypes());
        unsent(() -> svix.getMessage().expungeAllContents(app));
        same(4, svix.getBackgroundTask().list().getData().size());
    }

    static void portal() throws Exception {
        var api = svix.getAuthentication();
        var own = client(api.appPortalAccess(app, new AppPortalAccessIn().sessionId("s")).getToken());
        same(app, own.getApplication().get(app).getId());
        unsent(() -> own.getAuthentication().logout());
        unsent(() -> api.dashboardAccess(app));
        api.expireAll(app, new ApplicationTokenExpireIn());
        refused(401, () -> own.getApplication().get(app));
    }

    static void integrations() throws Exception {
        var api = svix.getIntegration();
        var made = api.create(app, new IntegrationIn().name("Mine"));
        same("New", api.update(app, made.getId(), new IntegrationUpdate().name("New")).getName());
        same("New", api.get(app, made.getId()).getName());
        same(made.getId(), api.list(app).getData().get(0).getId());
        unsent(() -> api.rotateKey(app, made.getId()));
        api.delete(app, made.getId());
        refused(404, () -> api.get(app, made.getId()));
    }

    static void connectors() throws Exception {
        var api = new Connector(svix.getHttpClient()); // the client of this release has no member for it
        var wanted = new ConnectorIn().name("Mine").uid("mine").transformation(SCRIPT).allowedEventTypes(Set.of(TYPE));
        var made = api.create(wanted);
        same(Set.of(TYPE), made.getAllowedEventTypes());
        same(made.getId(), api.get("mine").getId());
        var patched = api.patch("mine", new ConnectorPatch().description("d").allowedEventTypes(null));
        same("d", patched.getDescription());
        same(null, patched.getAllowedEventTypes());
        same("New", api.update("mine", new ConnectorUpdate().name("New").transformation(SCRIPT)).getName());
        same(true, api.list().getData().stream().anyMatch(each -> each.getId().equals(made.getId())));
        api.delete("mine");
        refused(404, () -> api.get("mine"));
    }

    static void environment() throws Exception {
        var api = new Environment(svix.getHttpClient()); // the client of this release has no member for it
        var types = List.of(new EventTypeIn().name("environment.imported").description("d"));
        var own = List.of(new ConnectorIn().name("Imported").uid("imported").transformation(SCRIPT));
        var settings = Map.of("displayName", "Acme");
        api.import_(new EnvironmentIn().eventTypes(types).connectors(own).settings(settings));
        same("d", svix.getEventType().get("environment.imported").getDescription());
        same("Imported", new Connector(svix.getHttpClient()).get("imported").getName());
        unsent(api::export);
    }

    static void operational() throws Exception {
        var api = svix.getOperationalWebhook().getEndpoint();
        var types = Set.of("endpoint.disabled");
        var wanted = new OperationalWebhookEndpointIn().url(URL).uid("ops").filterTypes(types).secret(secret);
        var made = api.create(wanted);
        same(types, made.getFilterTypes());
        same(made.getId(), api.list().getData().get(0).getId());
        same(made.getId(), api.get("ops").getId());
        var change = new OperationalWebhookEndpointUpdate().url(URL).uid("ops").description("d");
        same("d", api.update(made.getId(), change).getDescription());
        same(secret, api.getSecret("ops").getKey());
        api.rotateSecret("ops", new OperationalWebhookEndpointSecretIn());
        same(false, secret.equals(api.getSecret("ops").getKey()));
        api.updateHeaders("ops", new OperationalWebhookEndpointHeadersIn().headers(Map.of("x-mine", "1")));
        same("1", api.getHeaders("ops").getHeaders().get("x-mine"));
        api.delete("ops");
        refused(404, () -> api.get("ops"));
    }

    static Svix client(String token) {
        var options = new SvixOptions();
        options.setServerUrl(server);
        return new Svix(token, options);
    }

    /** Waits for a number of attempts at the endpoint, and returns them, the newest first. */
    static List<MessageAttemptOut> tried(int count) throws Exception {
        while (true) {
            var listed = svix.getMessageAttempt().listByEndpoint(app, endpoint).getData();
            if (listed.size() == count) {
                return new ArrayList<>(listed);
            }
            rest();
        }
    }

    /** Waits for the end of a task, and returns its name and status. */
    static String ended(String id) throws Exception {
        while (true) {
            var task = svix.getBackgroundTask().get(id);
            if (task.getStatus() != BackgroundTaskStatus.RUNNING) {
                return task.getTask().getValue() + " " + task.getStatus().getValue();
            }
            rest();
        }
    }

    static void rest() throws InterruptedException {
        if (System.nanoTime() > END) {
            throw new AssertionError("out of time");
        }
        Thread.sleep(20);
    }

    /** Sets the secret with which the receiver verifies messages. */
    static void configureReceiver() throws Exception {
        var body = BodyPublishers.ofString("{\"secret\":\"" + secret + "\"}");
        var control = HttpRequest.newBuilder(URI.create(receiver).resolve("/control")).PUT(body).build();
        var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        same(200, client.send(control, BodyHandlers.ofString()).statusCode());
    }

    /** Expects that this release fails before it sends a request: it can send no POST or PUT without a body. */
    static void unsent(Call call) throws Exception {
        try {
            call.run();
        } catch (IllegalArgumentException error) {
            same(true, error.getMessage().endsWith("must have a request body."));
            return;
        }
        throw new AssertionError("this release sends it: call it, and delete its exception from calls.toml");
    }

    static void refused(int status, Call call) throws Exception {
        try {
            call.run();
        } catch (ApiException error) {
            same(status, error.getCode());
            return;
        }
        throw new AssertionError("the call is not refused");
    }

    static void same(Object expected, Object found) {
        if (!Objects.equals(expected, found)) {
            throw new AssertionError("expected " + expected + ", found " + found);
        }
    }
}
