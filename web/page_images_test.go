package web

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/store/storetest/embedded"
)

// An oven is a cloud that has one image, until it is told to forget it.
type oven struct {
	*memoryCloud
	mu     sync.Mutex
	images []console.Image
}

func (o *oven) Bake(context.Context, string, map[string]string) (console.Image, error) {
	return console.Image{}, context.Canceled
}

func (o *oven) Images(context.Context) ([]console.Image, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.images, nil
}

func (o *oven) Forget(context.Context, string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.images = nil
	return nil
}

// TestImagesByForms: an image is made by who may launch, and removed by an owner.
func TestImagesByForms(t *testing.T) {
	store, err := embedded.Open(context.WithoutCancel(t.Context()), t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	cloud := newMemoryCloud()
	s, _ := serve(t, parts{store: store, keys: newKeys(t), cloud: cloud, url: "http://" + listener.Addr().String(), listener: listener,
		oven: &oven{memoryCloud: cloud, images: []console.Image{{ID: "img-1", Ready: true, Baked: time.Now(), Tags: map[string]string{"popup:app": "guestbook"}}}}})
	s.settle(t)
	as := func(name string) *visitor {
		v := s.visitor(t)
		v.open("/sign-in").send("/sign-in", "name", name, "password", password).sees(200)
		return v
	}
	otto := as("otto")
	otto.open("/apps").sees(200, `href="/images"`)
	if otto.open("/images").sees(200, "img-1", "guestbook", "Make an image"); strings.Contains(otto.body, "/remove") {
		t.Error("an organiser may remove it")
	}
	otto.send("/images", "app", string(testApp), "cloud", "oven").sees(200, "An image is being made of it", "installing")
	if vera := as("vera").open("/images").sees(200, "img-1"); strings.Contains(vera.body, "Make an image") {
		t.Error("a viewer may make one")
	}
	olga := as("olga")
	olga.open("/images").send("/images/img-1/remove").sees(200, "That is removed", "There is none")
}
