// SPDX-License-Identifier: MIT

//! Every method that the official SDK for Rust has for operations of the service, each once or more, with a look at its
//! result. tests/sdk/go and tests/sdk/java do the same; the test records which operations were called.

use std::io::{Read, Write};
use std::time::Duration;

use chrono::Utc;
use serde_json::{json, Value};
use svix::api::{Svix, SvixOptions};
use svix::error::Result;
use svix::models::{BackgroundTaskStatus, EndpointIn, MessageAttemptOut, RecoverIn, ReplayIn};

use crate::{refusal, Journey};

const TYPE: &str = "tour.done";
const SCRIPT: &str = "function handler(webhook) { return webhook; }";
const URL: &str = "https://example.com/in";

/// Return the body of a request from its JSON.
macro_rules! body {
    ($($json:tt)*) => { serde_json::from_value(json!({$($json)*})).expect("a body of the SDK") };
}

fn text(value: &str) -> String {
    value.to_string()
}

impl Journey {
    pub async fn tour(&mut self) -> Result<()> {
        self.client.health().get().await?;
        self.event_types().await?;
        self.applications().await?;
        self.endpoints().await?;
        self.messages().await?;
        self.tasks().await?;
        self.portal().await?;
        self.integrations().await?;
        self.connectors().await?;
        self.environment().await?;
        self.operational().await?;
        self.client.application().delete(self.app.clone()).await?;
        let absent = self.client.application().get(self.app.clone()).await.err();
        assert_eq!("404 not_found", refusal(absent));
        Ok(())
    }

    async fn event_types(&self) -> Result<()> {
        let api = self.client.event_type();
        let schemas = json!({"1": {"type": "object", "examples": [{"n": 1}]}});
        let made = api.create(body!("name": TYPE, "description": "d", "schemas": schemas), None).await?;
        assert_eq!(TYPE, made.name);
        let put = api.upsert(text("tour.over"), body!("description": "e")).await?;
        assert_eq!("e", put.description);
        let patched = api.patch(text(TYPE), body!("groupName": "tour")).await?;
        assert_eq!((Some("tour"), "d"), (patched.group_name.as_deref(), patched.description.as_str()));
        assert_eq!(patched.updated_at, api.get(text(TYPE)).await?.updated_at);
        api.delete(text("tour.over"), None).await?;
        assert_eq!(1, api.list(None).await?.data.len());
        let spec = json!({"openapi": "3.1.0", "webhooks": {"pet.new": {}}});
        let planned = api.import_openapi(body!("spec": spec, "dryRun": true), None).await?.data;
        let names: Vec<_> = planned.to_modify.unwrap_or_default().into_iter().map(|each| each.name).collect();
        assert_eq!(planned.modified, names);
        let done = api.import_openapi(body!("specRaw": spec.to_string()), None).await?.data;
        assert_eq!(vec!["pet.new"], done.modified);
        Ok(())
    }

    async fn applications(&mut self) -> Result<()> {
        let api = self.client.application();
        self.app = api.create(body!("name": "Tour", "uid": "tour"), None).await?.id;
        assert_eq!(self.app, api.get_or_create(body!("name": "Other", "uid": "tour"), None).await?.id);
        let put = api.upsert(text("tour"), body!("name": "Put", "uid": "tour")).await?;
        assert_eq!("Put", put.name);
        let patched = api.patch(self.app.clone(), body!("name": "Patched", "throttleRate": null)).await?;
        assert_eq!("Patched", patched.name);
        assert_eq!("Patched", api.get(text("tour")).await?.name);
        assert_eq!(self.app, api.list(None).await?.data[0].id);
        Ok(())
    }

    async fn endpoints(&self) -> Result<()> {
        let (api, secret) = (self.client.endpoint(), &self.given["secret"]);
        let at = |uid: &str| (self.app.clone(), uid.to_string());
        let made = api.create(self.app.clone(), body!("url": URL, "uid": "ep", "secret": secret), None).await?;
        assert_eq!(made.id, api.list(self.app.clone(), None).await?.data[0].id);
        let put = api.upsert(self.app.clone(), made.id.clone(), body!("url": URL, "uid": "put")).await?;
        assert_eq!(Some("put"), put.uid.as_deref());
        let (app, uid) = at("put");
        let patched = api.patch(app, uid, body!("channels": ["c"], "eventTypes": null)).await?;
        let (app, uid) = at("put");
        assert_eq!(patched.channels, api.get(app, uid).await?.channels);
        let (app, uid) = at("put");
        assert_eq!(*secret, api.get_secret(app, uid).await?.key);
        let (app, uid) = at("put");
        let rotated = api.rotate_secret(app, uid, body!("gracePeriodSeconds": 60), None).await?.key;
        let (app, uid) = at("put");
        assert_eq!(rotated, api.get_secret(app, uid).await?.key);
        assert_ne!(*secret, rotated);
        self.headers_and_script().await?;
        let (app, uid) = at("put");
        assert_eq!(0, api.get_stats(app, uid, None).await?.success);
        let (app, uid) = at("put");
        assert_eq!(0, api.get_attempt_stats(app, uid, None).await?.success);
        api.delete(self.app.clone(), text("put")).await
    }

    async fn headers_and_script(&self) -> Result<()> {
        let (api, app) = (self.client.endpoint(), &self.app);
        api.set_headers(app.clone(), text("put"), body!("headers": {"x-a": "1"})).await?;
        let more = body!("headers": {"x-b": "2"}, "deleteHeaders": ["x-a"]);
        api.patch_headers(app.clone(), text("put"), more).await?;
        let found = api.get_headers(app.clone(), text("put")).await?.headers;
        assert_eq!(json!({"x-b": "2"}), json!(found));
        let scripts = api.transformation();
        scripts.patch(app.clone(), text("put"), body!("code": SCRIPT, "enabled": false)).await?;
        assert_eq!(Some(SCRIPT), scripts.get(app.clone(), text("put")).await?.code.as_deref());
        let changed = format!("{SCRIPT} // 2");
        let older = body!("code": changed, "enabled": false);
        #[allow(deprecated)]
        api.transformation_partial_update(app.clone(), text("put"), older).await?;
        assert_eq!(Some(changed), scripts.get(app.clone(), text("put")).await?.code);
        Ok(())
    }

    /// Send a message and an example to the receiver, and read everything about them.
    async fn messages(&mut self) -> Result<()> {
        let mut wanted = EndpointIn::new(self.given["receiver"].clone());
        wanted.secret = Some(self.given["secret"].clone());
        self.ep = self.client.endpoint().create(self.app.clone(), wanted, None).await?.id;
        self.configure_receiver();
        let (api, app) = (self.client.message(), &self.app);
        assert!(api.precheck(app.clone(), body!("eventType": TYPE), None).await?.active);
        let wanted = body!("eventType": TYPE, "eventId": "one", "payload": {"n": 1});
        let one = api.create(app.clone(), wanted, None).await?.id;
        let first = self.tried(1).await?.remove(0);
        assert_eq!((&one, 200), (&first.msg_id, first.response_status_code));
        assert_eq!(one, api.get(app.clone(), text("one"), None).await?.id);
        assert_eq!(one, api.list(app.clone(), None).await?.data[0].id);
        self.attempts_of(&one, &first.id).await?;
        let wanted = body!("eventType": TYPE);
        let example = self.client.endpoint().send_example(app.clone(), self.ep.clone(), wanted, None).await?;
        assert_eq!(example.id, self.tried(3).await?[0].msg_id);
        api.expunge_content(app.clone(), one.clone()).await?;
        let refused = self.client.message_attempt().resend(app.clone(), one.clone(), self.ep.clone(), None).await;
        assert!(refusal(refused.err()).starts_with("400 "));
        let results = api.bulk_expunge_content(app.clone(), body!("ids": [one, "absent"]), None).await?.results;
        assert_eq!(json!("not-found"), json!(results["absent"]));
        Ok(())
    }

    async fn attempts_of(&self, one: &String, first: &String) -> Result<()> {
        let (api, app, ep) = (self.client.message_attempt(), &self.app, &self.ep);
        assert_eq!(*first, api.list_by_msg(app.clone(), one.clone(), None).await?.data[0].id);
        let alone = api.get(app.clone(), one.clone(), first.clone(), None).await?;
        assert_eq!(200, alone.response_status_code);
        assert_eq!(*one, api.list_attempted_messages(app.clone(), ep.clone(), None).await?.data[0].id);
        assert_eq!(*ep, api.list_attempted_destinations(app.clone(), one.clone(), None).await?.data[0].id);
        api.resend(app.clone(), one.clone(), ep.clone(), None).await?;
        self.tried(2).await?;
        api.expunge_content(app.clone(), one.clone(), first.clone()).await?;
        assert_eq!("EXPUNGED", api.get(app.clone(), one.clone(), first.clone(), None).await?.response);
        Ok(())
    }

    /// Run every background task that has a method.
    async fn tasks(&self) -> Result<()> {
        let (since, until) = (Utc::now() - Duration::from_secs(3600), Utc::now() + Duration::from_secs(3600));
        let (api, at) = (self.client.endpoint(), || (self.app.clone(), self.ep.clone()));
        let (app, ep) = at();
        let id = api.recover(app, ep, RecoverIn::new(since), None).await?.id;
        assert_eq!("endpoint.recover finished", self.ended(id).await?);
        let (app, ep) = at();
        let id = api.replay_missing(app, ep, ReplayIn::new(since), None).await?.id;
        assert_eq!("endpoint.replay finished", self.ended(id).await?);
        let (app, ep) = at();
        let id = api.bulk_replay(app, ep, body!("since": since, "eventTypes": ["pet.new"]), None).await?.id;
        assert_eq!("endpoint.bulk-replay finished", self.ended(id).await?);
        let wanted = body!("since": since, "until": until, "appIds": [self.app, "nobody"]);
        let usage = self.client.statistics().aggregate_app_stats(wanted, None).await?;
        assert_eq!(json!(["nobody"]), json!(usage.unresolved_app_ids));
        assert_eq!("application.stats finished", self.ended(usage.id).await?);
        let id = self.client.statistics().aggregate_event_types().await?.id;
        assert_eq!("event-type.aggregate finished", self.ended(id).await?);
        let id = self.client.message().expunge_all_contents(self.app.clone(), None).await?.id;
        assert_eq!("application.purge_content finished", self.ended(id).await?);
        assert_eq!(6, self.client.background_task().list(None).await?.data.len());
        Ok(())
    }

    async fn portal(&self) -> Result<()> {
        let (api, app) = (self.client.authentication(), &self.app);
        let given = api.app_portal_access(app.clone(), body!("sessionId": "s"), None).await?;
        let own = self.client_of(given.token);
        assert_eq!(*app, own.application().get(app.clone()).await?.id);
        own.authentication().logout(None).await?;
        let other = self.client_of(api.app_portal_access(app.clone(), body!("sessionId": "t"), None).await?.token);
        assert_eq!(*app, other.application().get(app.clone()).await?.id);
        api.expire_all(app.clone(), body!("sessionIds": ["t"]), None).await?;
        for client in [own, other] {
            assert!(refusal(client.application().get(app.clone()).await.err()).starts_with("401 "));
        }
        Ok(())
    }

    async fn integrations(&self) -> Result<()> {
        let (api, app) = (self.client.integration(), &self.app);
        let made = api.create(app.clone(), body!("name": "Mine"), None).await?;
        let put = api.update(app.clone(), made.id.clone(), body!("name": "New")).await?;
        assert_eq!("New", put.name);
        assert_eq!("New", api.get(app.clone(), made.id.clone()).await?.name);
        assert_eq!(made.id, api.list(app.clone(), None).await?.data[0].id);
        let own = self.client_of(api.rotate_key(app.clone(), made.id.clone(), None).await?.key);
        assert_eq!(*app, own.application().get(app.clone()).await?.id);
        api.delete(app.clone(), made.id).await?;
        assert!(refusal(own.application().get(app.clone()).await.err()).starts_with("401 "));
        Ok(())
    }

    async fn connectors(&self) -> Result<()> {
        let api = self.client.connector();
        let wanted =
            body!("name": "Mine", "uid": "mine", "transformation": SCRIPT, "kind": "Zapier", "allowedEventTypes": [TYPE]);
        let made = api.create(wanted, None).await?;
        assert_eq!(json!(["tour.done"]), json!(made.allowed_event_types));
        assert_eq!(made.id, api.get(text("mine")).await?.id);
        let patched = api.patch(text("mine"), body!("description": "d", "allowedEventTypes": null)).await?;
        assert_eq!(("d", None), (patched.description.as_str(), patched.allowed_event_types));
        let put = api.upsert(text("mine"), body!("name": "New", "transformation": SCRIPT)).await?;
        assert_eq!((&made.id, "New"), (&put.id, put.name.as_str()));
        assert!(api.list(None).await?.data.iter().any(|each| each.id == made.id));
        api.delete(text("mine")).await?;
        assert_eq!("404 not_found", refusal(api.get(text("mine")).await.err()));
        Ok(())
    }

    async fn environment(&self) -> Result<()> {
        let api = self.client.environment();
        let wanted = body!(
            "eventTypes": [{"name": "environment.imported", "description": "d"}],
            "connectors": [{"name": "Imported", "uid": "imported", "transformation": SCRIPT}],
            "settings": {"displayName": "Acme"},
        );
        api.import(wanted, None).await?;
        let found = api.export(None).await?;
        assert_eq!(Some(json!({"displayName": "Acme"})), found.settings);
        assert_eq!("environment.imported", found.event_types[0].name);
        assert_eq!(Some("imported"), found.connectors[0].uid.as_deref());
        Ok(())
    }

    async fn operational(&self) -> Result<()> {
        let (webhook, secret) = (self.client.operational_webhook(), &self.given["secret"]);
        let api = webhook.endpoint();
        let wanted = body!("url": URL, "uid": "ops", "eventTypes": ["endpoint.disabled"], "secret": secret);
        let made = api.create(wanted, None).await?;
        assert_eq!(made.id, api.list(None).await?.data[0].id);
        assert_eq!(made.id, api.get(text("ops")).await?.id);
        let put = api.upsert(text("ops"), body!("url": URL, "uid": "ops", "description": "d")).await?;
        assert_eq!("d", put.description);
        assert_eq!(*secret, api.get_secret(text("ops")).await?.key);
        api.rotate_secret(text("ops"), body!(), None).await?;
        assert_ne!(*secret, api.get_secret(text("ops")).await?.key);
        api.set_headers(text("ops"), body!("headers": {"x-mine": "1"})).await?;
        assert_eq!("1", api.get_headers(text("ops")).await?.headers["x-mine"]);
        api.delete(text("ops")).await?;
        assert_eq!("404 not_found", refusal(api.get(text("ops")).await.err()));
        Ok(())
    }

    /// Return a client with another token.
    fn client_of(&self, token: String) -> Svix {
        let options = SvixOptions { server_url: Some(self.given["url"].clone()), ..Default::default() };
        Svix::new(token, Some(options))
    }

    /// Wait for a number of attempts at the endpoint, and return them, the newest first.
    async fn tried(&self, count: usize) -> Result<Vec<MessageAttemptOut>> {
        loop {
            let attempts = self.client.message_attempt();
            let listed = attempts.list_by_endpoint(self.app.clone(), self.ep.clone(), None).await?.data;
            if listed.len() == count {
                return Ok(listed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Wait for the end of a task, and return its name and status.
    async fn ended(&self, id: String) -> Result<String> {
        loop {
            let task = self.client.background_task().get(id.clone()).await?;
            if task.status != BackgroundTaskStatus::Running {
                let words: [Value; 2] = [json!(task.task), json!(task.status)];
                return Ok(words.map(|each| each.as_str().unwrap_or("").to_string()).join(" "));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Set the secret with which the receiver verifies messages.
    fn configure_receiver(&self) {
        let receiver = self.given["receiver"].trim_start_matches("http://");
        let host = receiver.split('/').next().expect("the receiver has a host");
        let wanted = json!({"secret": self.given["secret"]}).to_string();
        let mut stream = std::net::TcpStream::connect(host).expect("the receiver listens");
        let head = format!("PUT /control HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n", wanted.len());
        stream.write_all((head + &wanted).as_bytes()).expect("the receiver reads");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("the receiver responds");
        assert_eq!(b"HTTP/1.1 200", &answer);
    }
}
