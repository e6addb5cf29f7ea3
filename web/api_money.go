package web

import (
	"time"

	"popup/console"
	"popup/web/api"
)

func showMoney(m console.Money) api.Money { return api.Money{Currency: m.Currency, Amount: m.Exact()} }

func showQuote(q console.Quote) api.Quote {
	return api.Quote{Free: len(q.Lines)+len(q.Unknown) == 0, Total: each(q.Total, showMoney), Whole: each(q.Whole, showMoney), AsOf: q.AsOf, Unknown: q.Unknown, Cap: q.Cap,
		Lines: each(q.Lines, func(l console.QuoteLine) api.QuoteLine {
			return api.QuoteLine{App: l.Title, What: l.What, Hour: showMoney(l.Hour), Count: l.Count, Seconds: int64(l.For / time.Second), Total: showMoney(l.Total)}
		})}
}
