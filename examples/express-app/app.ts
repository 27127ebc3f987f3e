/** The web application. It answers at once; the counting happens offstage. */
import { randomUUID } from 'node:crypto'
import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import { type MiddleMan, OffstageError, signalOf } from 'offstage/middleman'
import { errorPage, reportPage, startPage } from './pages.js'
import type ReportWorker from './workers/report_worker.js'
import type { Report } from './workers/report_worker.js'

export function createApp(middleMan: MiddleMan): Express {
  const worker = middleMan.worker<ReportWorker>('report_worker')
  /** Reports that were ordered: a real application would have them in its database. */
  const ordered = new Set<string>()

  const app = express()
  app.use(express.urlencoded({ extended: false, limit: '200kb' }), express.json({ limit: '200kb' }))

  app.get('/', (_request, response) => {
    response.send(startPage())
  })

  app.post('/reports', async (request, response) => {
    const text: unknown = request.body?.text
    if (typeof text !== 'string' || text.trim() === '') return refuse(response, 400, 'There is no text to count.')
    const id = randomUUID()
    await worker.enqCountWords({ arg: text, jobKey: id })
    ordered.add(id)
    response.location(`/reports/${id}`)
    response.format({
      html: () => response.redirect(303, `/reports/${id}`),
      json: () => response.status(202).json({ id, state: 'waiting' }),
    })
  })

  // For who would rather wait. One who goes away takes the call along: the worker sees it in `this.signal`.
  app.post('/counts', async (request, response) => {
    const text: unknown = request.body?.text
    if (typeof text !== 'string') return refuse(response, 400, 'There is no text to count.')
    response.json(await worker.count({ arg: text, signal: signalOf(response), timeout: 10_000 }))
  })

  app.get('/reports/:id', async (request, response) => {
    const { id } = request.params
    if (!ordered.has(id)) return refuse(response, 404, 'There is no such report.')
    const report = ((await worker.askResult(id)) as Report | null) ?? { state: 'waiting' as const }
    response.format({
      html: () => response.send(reportPage(report)),
      json: () => response.json({ id, ...report }),
    })
  })

  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    if (!(error instanceof OffstageError)) return next(error)
    // The job server is down or busy: nothing was lost, and the same request may succeed in a moment.
    refuse(response, error.retryable ? 503 : 500, error.message)
  })

  return app
}

function refuse(response: Response, status: number, message: string): void {
  response.status(status).format({
    html: () => response.send(errorPage(message)),
    json: () => response.json({ error: message }),
  })
}
