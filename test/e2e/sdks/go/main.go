// Sends events with the Go SDK of CloudEvents.
//
//	client BASE_URL KEY < requests.json
//
// Reads a JSON array of requests (their form: ../client.ts) and sends each one. Writes a line of JSON for each: status
// and body of the answer, or the error with which the SDK or the HTTP client refused to send it.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/cloudevents/sdk-go/v2/types"
)

const timeout = 30 * time.Second

type extension struct {
	Type  string
	Value any
}

type sentEvent struct {
	Attributes map[string]string
	Extensions map[string]extension
	Data       *struct {
		JSON   json.RawMessage
		Text   *string
		Base64 *string
	}
}

type request struct {
	Mode   string
	Events []sentEvent
}

type answer struct {
	Status int             `json:"status,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Error  string          `json:"error,omitempty"`
}

func main() {
	baseURL, key := os.Args[1], os.Args[2]
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		panic(err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, one := range requests {
		got, err := send(baseURL+"/v1/events", key, one)
		if err != nil {
			got = answer{Error: err.Error()}
		}
		if err := out.Encode(got); err != nil {
			panic(err)
		}
	}
}

func send(url, key string, one request) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	events := make([]event.Event, len(one.Events))
	for i, sent := range one.Events {
		made, err := eventOf(sent)
		if err != nil {
			return answer{}, err
		}
		events[i] = made
	}
	message, err := messageOf(ctx, url, one.Mode, events)
	if err != nil {
		return answer{}, err
	}
	message.Header.Set("Authorization", "Bearer "+key)
	message.Header.Set("Prefer", "wait")
	response, err := http.DefaultClient.Do(message)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{Status: response.StatusCode, Body: bytes.TrimSpace(body)}, err
}

func messageOf(ctx context.Context, url, mode string, events []event.Event) (*http.Request, error) {
	switch mode {
	case "batch":
		return cehttp.NewHTTPRequestFromEvents(ctx, url, events)
	case "structured":
		ctx = binding.WithForceStructured(ctx)
	}
	return cehttp.NewHTTPRequestFromEvent(ctx, url, events[0])
}

func eventOf(sent sentEvent) (event.Event, error) {
	version := sent.Attributes["specversion"]
	if version == "" {
		version = event.CloudEventsVersionV1
	}
	made := event.New(version)
	for name, value := range sent.Attributes {
		switch name {
		case "id":
			made.SetID(value)
		case "source":
			made.SetSource(value)
		case "type":
			made.SetType(value)
		case "subject":
			made.SetSubject(value)
		case "dataschema":
			made.SetDataSchema(value)
		case "datacontenttype":
			made.SetDataContentType(value)
		case "time":
			at, err := time.Parse(time.RFC3339Nano, value)
			if err != nil {
				return made, err
			}
			made.SetTime(at)
		}
	}
	for name, value := range sent.Extensions {
		typed, err := typedValue(value)
		if err != nil {
			return made, err
		}
		made.SetExtension(name, typed)
	}
	return made, setData(&made, sent)
}

// typedValue is the value of an extension in Go's type for it.
func typedValue(value extension) (any, error) {
	text, isText := value.Value.(string)
	switch value.Type {
	case "integer":
		return types.ToInteger(value.Value)
	case "timestamp":
		return time.Parse(time.RFC3339Nano, text)
	case "uri":
		return types.ParseURI(text).URL, nil
	case "binary":
		return base64.StdEncoding.DecodeString(text)
	case "boolean":
		return value.Value, nil
	}
	if !isText {
		return nil, fmt.Errorf("no text: %v", value.Value)
	}
	return text, nil
}

func setData(made *event.Event, sent sentEvent) error {
	if sent.Data == nil {
		return nil
	}
	// SetData sets the content type, too; an event without one has JSON.
	contentType := sent.Attributes["datacontenttype"]
	if contentType == "" {
		contentType = event.ApplicationJSON
	}
	switch {
	case sent.Data.Base64 != nil:
		decoded, err := base64.StdEncoding.DecodeString(*sent.Data.Base64)
		if err != nil {
			return err
		}
		return made.SetData(contentType, decoded)
	case sent.Data.Text != nil:
		return made.SetData(contentType, *sent.Data.Text)
	}
	var data map[string]any
	if err := json.Unmarshal(sent.Data.JSON, &data); err != nil {
		return err
	}
	return made.SetData(contentType, data)
}
