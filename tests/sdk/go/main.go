// SPDX-License-Identifier: MIT

// The main job through the official SDK for Go: `{"url", "token", "receiver", "secret"}` as JSON on standard input,
// what it found as JSON on standard output. tests/sdk/rust does the same in the same order. With the argument `tour`,
// every method of the SDK instead (tour.go).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	svix "github.com/svix/svix-webhooks/go"
	"github.com/svix/svix-webhooks/go/models"
)

const messages = 3

type given struct {
	URL      string `json:"url"`
	Token    string `json:"token"`
	Receiver string `json:"receiver"`
	Secret   string `json:"secret"`
}

type journey struct {
	ctx    context.Context
	client *svix.Svix
	given  given
	app    string
	ep     string
	found  map[string]any
}

func main() {
	var in given
	must(json.NewDecoder(os.Stdin).Decode(&in))
	server := got(url.Parse(in.URL))
	client := got(svix.New(in.Token, &svix.SvixOptions{ServerUrl: server}))
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Second)
	defer cancel()
	j := &journey{ctx: ctx, client: client, given: in, found: map[string]any{"version": svix.Version}}
	if len(os.Args) > 1 && os.Args[1] == "tour" {
		j.tour()
	} else {
		j.setUp()
		j.repair(time.Now())
		j.rotate()
		j.refusals()
	}
	must(json.NewEncoder(os.Stdout).Encode(j.found))
}

// setUp makes an application, an event type and an endpoint that answers 404 to everything.
func (j *journey) setUp() {
	uid, epUid := "Journey.of-Go_1", "ep.of-go"
	broken := strings.Replace(j.given.Receiver, "/hook", "/nowhere", 1)
	app := got(j.client.Application.Create(j.ctx, models.ApplicationIn{Name: "Journey", Uid: &uid}, nil))
	j.app = got(j.client.Application.Get(j.ctx, uid)).Id
	got(j.client.EventType.Create(j.ctx, models.EventTypeIn{Name: "trip.begun", Description: "A trip"}, nil))
	wanted := models.EndpointIn{Url: broken, Uid: &epUid, FilterTypes: []string{"trip.begun"}}
	j.ep = got(j.client.Endpoint.Create(j.ctx, app.Id, wanted, nil)).Id
	listed := got(j.client.Endpoint.List(j.ctx, uid, nil))
	j.found["endpoints"] = len(listed.Data)
}

// repair sends messages that fail, corrects the endpoint and recovers them.
func (j *journey) repair(since time.Time) {
	sent := []string{}
	for number := range messages {
		eventId := fmt.Sprintf("trip-%d", number)
		in := models.MessageIn{EventType: "trip.begun", EventId: &eventId, Payload: map[string]any{"text": "å∫ç"}}
		message := got(j.client.Message.Create(j.ctx, j.app, in, nil))
		same := got(j.client.Message.Get(j.ctx, j.app, eventId, nil)).Id == message.Id
		sent = append(sent, fmt.Sprintf("%s %t", message.Id, same))
	}
	failed := j.attempts(messages)
	patch := models.EndpointPatch{Url: &j.given.Receiver}
	got(j.client.Endpoint.Patch(j.ctx, j.app, j.ep, patch))
	must(j.client.Endpoint.RotateSecret(j.ctx, j.app, j.ep, models.EndpointSecretRotateIn{Key: &j.given.Secret}, nil))
	started := got(j.client.Endpoint.Recover(j.ctx, j.app, j.ep, models.RecoverIn{Since: since.Add(-time.Second)}, nil))
	task := got(j.client.BackgroundTask.Get(j.ctx, started.Id))
	for task.Status == models.BACKGROUNDTASKSTATUS_RUNNING {
		time.Sleep(20 * time.Millisecond)
		task = got(j.client.BackgroundTask.Get(j.ctx, started.Id))
	}
	listed := got(j.client.BackgroundTask.List(j.ctx, nil))
	j.found["sent"] = sent
	j.found["statuses"] = []any{failed, j.attempts(2 * messages)}
	j.found["started"] = []any{started.Status, started.Task}
	j.found["ended"] = []any{task.Status, task.Task, task.Data}
	j.found["listed"] = len(listed.Data) == 1 && listed.Data[0].Id == started.Id
}

// attempts waits for count attempts, and returns how many have each status.
func (j *journey) attempts(count int) map[string]int {
	for {
		listed := got(j.client.MessageAttempt.ListByEndpoint(j.ctx, j.app, "ep.of-go", nil)).Data
		if len(listed) == count {
			found := map[string]int{}
			for _, each := range listed {
				found[fmt.Sprintf("%d %s %d %d", each.Status, each.StatusText, each.TriggerType, each.ResponseStatusCode)]++
			}
			return found
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// rotate replaces the secret with one of the server's; the call must not fail, and the secret must change.
func (j *journey) rotate() {
	before := got(j.client.Endpoint.GetSecret(j.ctx, j.app, j.ep)).Key
	must(j.client.Endpoint.RotateSecret(j.ctx, j.app, j.ep, models.EndpointSecretRotateIn{}, nil))
	after := got(j.client.Endpoint.GetSecret(j.ctx, j.app, j.ep)).Key
	j.found["rotated"] = []bool{before == j.given.Secret, after != before}
}

// refusals asks for absent resources under ids that must stay one segment of the path. This SDK leaves escaping to its
// caller.
func (j *journey) refusals() {
	found := map[string]int{}
	for _, id := range []string{"a/b", "a%2Fb", "a b", "ü", "a?b", "a#b", "a+b", j.app + "/endpoint"} {
		_, err := j.client.Application.Get(j.ctx, url.PathEscape(id))
		found[refusal(err)]++
	}
	found["delete: "+refusal(j.client.Application.Delete(j.ctx, url.PathEscape(j.app+"/endpoint/"+j.ep)))] = 1
	_, err := j.client.Endpoint.Get(j.ctx, j.app, url.PathEscape(j.ep+"/secret"))
	found["secret: "+refusal(err)] = 1
	bad := "not an uid"
	_, err = j.client.Application.Create(j.ctx, models.ApplicationIn{Name: "A", Uid: &bad}, nil)
	found["uid: "+refusal(err)] = 1
	kept := got(j.client.Endpoint.Get(j.ctx, j.app, "ep.of-go")).Id == j.ep
	keys := []string{}
	for key, times := range found {
		keys = append(keys, fmt.Sprintf("%s x%d", key, times))
	}
	sort.Strings(keys)
	j.found["refused"], j.found["kept"] = keys, kept
}

func refusal(err error) string {
	var refused *svix.Error
	if !errors.As(err, &refused) {
		return fmt.Sprintf("no refusal: %v", err)
	}
	var body struct {
		Code   string `json:"code"`
		Detail any    `json:"detail"`
	}
	must(json.Unmarshal(refused.Body(), &body))
	if body.Code == "" && body.Detail != nil {
		return fmt.Sprintf("%d detail", refused.Status())
	}
	return fmt.Sprintf("%d %s", refused.Status(), body.Code)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func got[T any](value T, err error) T {
	must(err)
	return value
}
