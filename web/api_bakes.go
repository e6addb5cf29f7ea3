package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

// bake begins an image.
func (s *Server) bake(c *gin.Context, r console.BakeRequest) (api.Operation, error) {
	operation, err := s.console.Bake(c.Request.Context(), s.actor(c), r, onceKey(c))
	if err == nil {
		c.Header("Location", "/api/v1/operations/"+operation.ID)
	}
	return showOperation(operation), err
}

func (s *Server) listImages(c *gin.Context) (api.Images, error) {
	bakes, err := s.console.Bakes(c.Request.Context(), s.actor(c))
	if err != nil {
		return api.Images{}, err
	}
	images, failed := s.console.Images(c.Request.Context(), s.actor(c))
	listed := api.Images{Images: each(images, showImage), Bakes: each(bakes, showBake)}
	if failed != nil {
		listed.Failure = failed.Error()
	}
	return listed, nil
}

func showBake(b console.Bake) api.Bake {
	return api.Bake{Event: b.Event, App: string(b.App), Title: b.Title, Cloud: b.Cloud, By: b.By, State: string(b.State), Image: b.Image, Failure: b.Failure,
		Created: b.Created, Finished: b.Finished}
}

func showImage(i console.KeptImage) api.Image {
	return api.Image{ID: i.ID, Cloud: i.Cloud, App: i.App, Version: i.Version(), Release: i.Release(), Revision: i.Revision(), Ready: i.Ready,
		Baked: i.Baked, Expires: i.Expires, Times: showBootTimes(i.Times)}
}

func showBootTimes(t console.BootTimes) api.BootTimes {
	return api.BootTimes{Baked: t.Baked.Seconds(), BakedCount: t.BakedCount, Plain: t.Plain.Seconds(), PlainCount: t.PlainCount, Sooner: t.Sooner().Seconds()}
}

func (s *Server) forgetImage(c *gin.Context) (none, error) {
	keepAlive(c, forgetTime)
	return none{}, s.console.ForgetImage(c.Request.Context(), s.actor(c), c.Param("id"))
}

// bakeRoutes make images, and remove them.
var bakeRoutes = []route{
	{method: http.MethodPost, path: "/api/v1/bakes", who: signedIn, does: "make an image of an app, from which its next launches start; asked again with the same Idempotency-Key it is done once", once: true,
		endpoint: take(http.StatusAccepted, (*Server).bake)},
	{method: http.MethodGet, path: "/api/v1/images", who: signedIn, does: "the images that there are, and those that are made", endpoint: answer(200, (*Server).listImages)},
	{method: http.MethodDelete, path: "/api/v1/images/:id", who: signedIn, does: "remove an image; the answer comes once it is proven gone", endpoint: answer(http.StatusNoContent, (*Server).forgetImage)},
}
