// SPDX-License-Identifier: MIT

// Every method that the official SDK for Go has for operations of the service, each once or more, with a look at its
// result. tests/sdk/rust and tests/sdk/java do the same; the test records which operations were called.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"net/url"

	svix "github.com/svix/svix-webhooks/go"
	"github.com/svix/svix-webhooks/go/models"
	"github.com/svix/svix-webhooks/go/utils"
)

const (
	tourType = "tour.done"
	script   = "function handler(webhook) { return webhook; }"
	example  = "https://example.com/in"
)

func (j *journey) tour() {
	must(j.client.Health.Get(j.ctx))
	j.eventTypes()
	j.applications()
	j.endpoints()
	j.messages()
	j.tasks()
	j.portal()
	j.integrations()
	j.connectors()
	j.environment()
	j.operational()
	must(j.client.Application.Delete(j.ctx, j.app))
	_, err := j.client.Application.Get(j.ctx, j.app)
	same("404 not_found", refusal(err))
}

func (j *journey) eventTypes() {
	api := j.client.EventType
	schemas := map[string]any{"1": map[string]any{"type": "object", "examples": []any{map[string]any{"n": 1}}}}
	made := got(api.Create(j.ctx, models.EventTypeIn{Name: tourType, Description: "d", Schemas: &schemas}, nil))
	same(tourType, made.Name)
	put := got(api.Update(j.ctx, "tour.over", models.EventTypeUpdate{Description: "e"}))
	same("e", put.Description)
	patched := got(api.Patch(j.ctx, tourType, models.EventTypePatch{GroupName: utils.NewNullable("tour")}))
	same("tour d", *patched.GroupName+" "+patched.Description)
	same(patched.UpdatedAt, got(api.Get(j.ctx, tourType)).UpdatedAt)
	must(api.Delete(j.ctx, "tour.over", nil))
	same(1, len(got(api.List(j.ctx, nil)).Data))
	spec := map[string]any{"openapi": "3.1.0", "webhooks": map[string]any{"pet.new": map[string]any{}}}
	planned := got(api.ImportOpenapi(j.ctx, models.EventTypeImportOpenApiIn{Spec: &spec, DryRun: of(true)}, nil)).Data
	same("pet.new pet.new", planned.Modified[0]+" "+planned.ToModify[0].Name)
	same(1, len(got(api.ImportOpenapi(j.ctx, models.EventTypeImportOpenApiIn{Spec: &spec}, nil)).Data.Modified))
}

func (j *journey) applications() {
	api := j.client.Application
	in := models.ApplicationIn{Name: "Tour", Uid: of("tour")}
	j.app = got(api.Create(j.ctx, in, nil)).Id
	same(j.app, got(api.GetOrCreate(j.ctx, in, nil)).Id)
	same("Put", got(api.Update(j.ctx, "tour", models.ApplicationIn{Name: "Put", Uid: of("tour")})).Name)
	same("Patched", got(api.Patch(j.ctx, j.app, models.ApplicationPatch{Name: of("Patched")})).Name)
	same("Patched", got(api.Get(j.ctx, "tour")).Name)
	same(j.app, got(api.List(j.ctx, nil)).Data[0].Id)
}

func (j *journey) endpoints() {
	api := j.client.Endpoint
	made := got(api.Create(j.ctx, j.app, models.EndpointIn{Url: example, Uid: of("ep"), Secret: &j.given.Secret}, nil))
	same(made.Id, got(api.List(j.ctx, j.app, nil)).Data[0].Id)
	same("put", *got(api.Update(j.ctx, j.app, made.Id, models.EndpointUpdate{Url: example, Uid: of("put")})).Uid)
	patch := models.EndpointPatch{Channels: utils.NewNullable([]string{"c"})}
	same("c", got(api.Patch(j.ctx, j.app, "put", patch)).Channels[0])
	same("c", got(api.Get(j.ctx, j.app, "put")).Channels[0])
	same(j.given.Secret, got(api.GetSecret(j.ctx, j.app, "put")).Key)
	must(api.RotateSecret(j.ctx, j.app, "put", models.EndpointSecretRotateIn{}, nil))
	differ(j.given.Secret, got(api.GetSecret(j.ctx, j.app, "put")).Key)
	must(api.UpdateHeaders(j.ctx, j.app, "put", models.EndpointHeadersIn{Headers: map[string]string{"x-a": "1"}}))
	more := models.EndpointHeadersPatchIn{Headers: map[string]string{"x-b": "2"}, DeleteHeaders: []string{"x-a"}}
	must(api.PatchHeaders(j.ctx, j.app, "put", more))
	same(fmt.Sprint(map[string]string{"x-b": "2"}), fmt.Sprint(got(api.GetHeaders(j.ctx, j.app, "put")).Headers))
	code := models.EndpointTransformationPatch{Code: utils.NewNullable(script), Enabled: of(false)}
	must(api.PatchTransformation(j.ctx, j.app, "put", code))
	same(script, *got(api.TransformationGet(j.ctx, j.app, "put")).Code)
	older := models.EndpointTransformationIn{Code: of(script + " // 2"), Enabled: of(false)}
	must(api.TransformationPartialUpdate(j.ctx, j.app, "put", older))
	same(script+" // 2", *got(api.TransformationGet(j.ctx, j.app, "put")).Code)
	same(int64(0), got(api.GetStats(j.ctx, j.app, "put", nil)).Success)
	must(api.Delete(j.ctx, j.app, "put"))
}

// messages sends a message and an example to the receiver, and reads everything about them.
func (j *journey) messages() {
	j.ep = got(j.client.Endpoint.Create(j.ctx, j.app, models.EndpointIn{Url: j.given.Receiver, Secret: &j.given.Secret}, nil)).Id
	j.configureReceiver()
	api, attempts := j.client.Message, j.client.MessageAttempt
	same(true, got(api.Precheck(j.ctx, j.app, models.MessagePrecheckIn{EventType: tourType}, nil)).Active)
	in := models.MessageIn{EventType: tourType, EventId: of("one"), Payload: map[string]any{"n": 1}}
	one := got(api.Create(j.ctx, j.app, in, nil)).Id
	first := j.tried(1)[0]
	same(one+" success", fmt.Sprintf("%s %s", first.MsgId, first.StatusText))
	same(one, got(api.Get(j.ctx, j.app, "one", nil)).Id)
	same(one, got(api.List(j.ctx, j.app, nil)).Data[0].Id)
	same(first.Id, got(attempts.ListByMsg(j.ctx, j.app, one, nil)).Data[0].Id)
	same(int16(200), got(attempts.Get(j.ctx, j.app, one, first.Id, nil)).ResponseStatusCode)
	same(one, got(attempts.ListAttemptedMessages(j.ctx, j.app, j.ep, nil)).Data[0].Id)
	same(j.ep, got(attempts.ListAttemptedDestinations(j.ctx, j.app, one, nil)).Data[0].Id)
	got(attempts.Resend(j.ctx, j.app, one, j.ep, nil))
	j.tried(2)
	sent := got(j.client.Endpoint.SendExample(j.ctx, j.app, j.ep, models.EventExampleIn{EventType: tourType}, nil))
	same(sent.Id, j.tried(3)[0].MsgId)
	must(attempts.ExpungeContent(j.ctx, j.app, one, first.Id))
	same("EXPUNGED", got(attempts.Get(j.ctx, j.app, one, first.Id, nil)).Response)
	must(api.ExpungeContent(j.ctx, j.app, one))
	_, err := attempts.Resend(j.ctx, j.app, one, j.ep, nil)
	same("400", strings.Fields(refusal(err))[0])
}

// tasks runs every background task that has a method.
func (j *journey) tasks() {
	since, until := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	api := j.client.Endpoint
	recover := got(api.Recover(j.ctx, j.app, j.ep, models.RecoverIn{Since: since}, nil))
	same("endpoint.recover finished", j.ended(recover.Id))
	missing := got(api.ReplayMissing(j.ctx, j.app, j.ep, models.ReplayIn{Since: since}, nil))
	same("endpoint.replay finished", j.ended(missing.Id))
	again := got(api.BulkReplay(j.ctx, j.app, j.ep, models.BulkReplayIn{Since: since, EventTypes: []string{"pet.new"}}, nil))
	same("endpoint.bulk-replay finished", j.ended(again.Id))
	usage := models.AppUsageStatsIn{Since: since, Until: until, AppIds: []string{j.app, "nobody"}}
	stats := got(j.client.Statistics.AggregateAppStats(j.ctx, usage, nil))
	same("nobody", strings.Join(stats.UnresolvedAppIds, " "))
	same("application.stats finished", j.ended(stats.Id))
	types := got(j.client.Statistics.AggregateEventTypes(j.ctx))
	same("event-type.aggregate finished", j.ended(types.Id))
	purge := got(j.client.Message.ExpungeAllContents(j.ctx, j.app, nil))
	same("application.purge_content finished", j.ended(purge.Id))
	same(6, len(got(j.client.BackgroundTask.List(j.ctx, nil)).Data))
}

func (j *journey) portal() {
	api := j.client.Authentication
	given := got(api.AppPortalAccess(j.ctx, j.app, models.AppPortalAccessIn{SessionId: of("s")}, nil))
	own := j.as(given.Token)
	same(j.app, got(own.Application.Get(j.ctx, j.app)).Id)
	must(own.Authentication.Logout(j.ctx, nil))
	older := j.as(got(api.DashboardAccess(j.ctx, j.app, nil)).Token)
	same(j.app, got(older.Application.Get(j.ctx, j.app)).Id)
	must(api.ExpireAll(j.ctx, j.app, models.ApplicationTokenExpireIn{}, nil))
	for _, client := range []*svix.Svix{own, older} {
		_, err := client.Application.Get(j.ctx, j.app)
		same("401", strings.Fields(refusal(err))[0])
	}
}

func (j *journey) integrations() {
	api := j.client.Integration
	made := got(api.Create(j.ctx, j.app, models.IntegrationIn{Name: "Mine"}, nil))
	same("New", got(api.Update(j.ctx, j.app, made.Id, models.IntegrationUpdate{Name: "New"})).Name)
	same("New", got(api.Get(j.ctx, j.app, made.Id)).Name)
	same(made.Id, got(api.List(j.ctx, j.app, nil)).Data[0].Id)
	key := got(api.RotateKey(j.ctx, j.app, made.Id, nil)).Key
	same(j.app, got(j.as(key).Application.Get(j.ctx, j.app)).Id)
	must(api.Delete(j.ctx, j.app, made.Id))
	_, err := j.as(key).Application.Get(j.ctx, j.app)
	same("401", strings.Fields(refusal(err))[0])
}

func (j *journey) connectors() {
	api := j.client.Connector
	in := models.ConnectorIn{Name: "Mine", Uid: of("mine"), Transformation: script, AllowedEventTypes: []string{tourType}}
	made := got(api.Create(j.ctx, in, nil))
	same(tourType, made.AllowedEventTypes[0])
	same(made.Id, got(api.Get(j.ctx, "mine")).Id)
	patch := models.ConnectorPatch{Description: of("d"), AllowedEventTypes: utils.NewNullableFromPtr[[]string](nil)}
	patched := got(api.Patch(j.ctx, "mine", patch))
	same("d 0", fmt.Sprintf("%s %d", patched.Description, len(patched.AllowedEventTypes)))
	put := got(api.Update(j.ctx, "mine", models.ConnectorUpdate{Name: of("New"), Transformation: script}))
	same(made.Id+" New", put.Id+" "+put.Name)
	found := false
	for _, each := range got(api.List(j.ctx, nil)).Data {
		found = found || each.Id == made.Id
	}
	same(true, found)
	must(api.Delete(j.ctx, "mine"))
	_, err := api.Get(j.ctx, "mine")
	same("404 not_found", refusal(err))
}

func (j *journey) environment() {
	api := j.client.Environment
	settings := map[string]any{"displayName": "Acme"}
	own := []models.ConnectorIn{{Name: "Imported", Uid: of("imported"), Transformation: script}}
	types := []models.EventTypeIn{{Name: "environment.imported", Description: "d"}}
	must(api.Import(j.ctx, models.EnvironmentIn{EventTypes: types, Connectors: own, Settings: &settings}, nil))
	found := got(api.Export(j.ctx, nil))
	same("Acme", (*found.Settings)["displayName"])
	same("environment.imported", found.EventTypes[0].Name)
	same("imported", *found.Connectors[0].Uid)
}

// operational calls the nine methods of operational endpoints, under the names of this release.
func (j *journey) operational() {
	api := j.client.OperationalWebhook.Endpoint
	in := models.OperationalWebhookEndpointIn{Url: example, Uid: of("ops"), FilterTypes: []string{"endpoint.disabled"}, Secret: &j.given.Secret}
	made := got(api.Create(j.ctx, in, nil))
	same("endpoint.disabled", made.FilterTypes[0])
	same(made.Id, got(api.List(j.ctx, nil)).Data[0].Id)
	same(made.Id, got(api.Get(j.ctx, "ops")).Id)
	change := models.OperationalWebhookEndpointUpdate{Url: example, Uid: of("ops"), Description: of("d")}
	same("d", got(api.Update(j.ctx, made.Id, change)).Description)
	same(j.given.Secret, got(api.GetSecret(j.ctx, "ops")).Key)
	must(api.RotateSecret(j.ctx, "ops", models.OperationalWebhookEndpointSecretIn{}, nil))
	differ(j.given.Secret, got(api.GetSecret(j.ctx, "ops")).Key)
	headers := map[string]string{"x-mine": "1"}
	must(api.UpdateHeaders(j.ctx, "ops", models.OperationalWebhookEndpointHeadersIn{Headers: headers}))
	same("1", got(api.GetHeaders(j.ctx, "ops")).Headers["x-mine"])
	must(api.Delete(j.ctx, "ops"))
	_, err := api.Get(j.ctx, "ops")
	same("404 not_found", refusal(err))
}

// as returns a client with another token.
func (j *journey) as(token string) *svix.Svix {
	return got(svix.New(token, &svix.SvixOptions{ServerUrl: got(url.Parse(j.given.URL))}))
}

// tried waits for a number of attempts at the endpoint, and returns them, the newest first.
func (j *journey) tried(count int) []models.MessageAttemptOut {
	for {
		must(j.ctx.Err())
		if listed := got(j.client.MessageAttempt.ListByEndpoint(j.ctx, j.app, j.ep, nil)).Data; len(listed) == count {
			return listed
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ended waits for the end of a task, and returns its name and status.
func (j *journey) ended(id string) string {
	for {
		must(j.ctx.Err())
		if task := got(j.client.BackgroundTask.Get(j.ctx, id)); task.Status != models.BACKGROUNDTASKSTATUS_RUNNING {
			return fmt.Sprintf("%s %s", task.Task, task.Status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// configureReceiver sets the secret with which the receiver verifies messages.
func (j *journey) configureReceiver() {
	control := got(url.Parse(j.given.Receiver))
	control.Path = "/control"
	body := got(json.Marshal(map[string]string{"secret": j.given.Secret}))
	response := got(http.DefaultClient.Do(got(http.NewRequest("PUT", control.String(), bytes.NewReader(body)))))
	must(response.Body.Close())
}

func of[T any](value T) *T {
	return &value
}

func same[T comparable](expected, found T) {
	if expected != found {
		fmt.Fprintf(os.Stderr, "expected %v, found %v\n", expected, found)
		panic("a call of the tour")
	}
}

func differ[T comparable](one, other T) {
	if one == other {
		panic(fmt.Sprintf("both are %v", one))
	}
}
