// Mercurius at its best: JIT from the first request, named (prepared) statements, one for the board with its authors and one,
// shared by loaders that batch, for what the viewer sees beside; and in the process what seldom changes.
// With CACHE set, its cache plug-in keeps the board for a second.
import { readFileSync } from 'node:fs'
import { createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import cache from 'mercurius-cache'
import pg from 'pg'

const { DATABASE_URL, PUBLIC_KEY_FILE, PORT, POOL, CACHE } = process.env
// 2026-11-22 09:30:00.5+00, as the session's time zone makes PostgreSQL write it: cheaper than a Date and back.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => `${text.slice(0, 10)}T${text.slice(11, -3)}Z`)
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL ?? 32), idleTimeoutMillis: 0, options: '-c timezone=UTC' })
const { rows: [municipality] } = await pool.query("SELECT id, time_zone, vote_strength FROM municipalities WHERE slug = 'bench'")
const verify = createVerifier({ key: readFileSync(PUBLIC_KEY_FILE), algorithms: ['EdDSA'], cache: 10000, allowedAud: 'heitto', allowedIss: 'heitto' })

const STRENGTHS = ['DEVICE', 'EMAIL', 'STRONG']
const counts = (strength) => STRENGTHS.indexOf(strength) >= STRENGTHS.indexOf(municipality.vote_strength)

const query = (name, text) => async (...values) => (await pool.query({ name, text, values: [municipality.id, ...values] })).rows
const byId = (rows) => new Map(rows.map((row) => [row.id, row]))

const boardOf = (name, columns) => query(name, `
  SELECT i.id, i.title, t.vote_count AS "voteCount", i.theme_id, i.author_id, a.display_name${columns}
  FROM idea_tallies t JOIN ideas i ON (i.municipality_id, i.id) = (t.municipality_id, t.idea_id)
  LEFT JOIN residents a ON (a.municipality_id, a.id) = (i.municipality_id, i.author_id)
  WHERE t.municipality_id = $1 AND i.listed
  ORDER BY t.vote_count DESC, t.idea_id
  LIMIT $2`)
const board = boardOf('board', '')
const boardWithClock = boardOf('board_with_clock', `, i.post_id, i.reaction_due_at AS "reactionDueAt", i.answer_due_at AS "answerDueAt",
    i.first_response_at AS "firstResponseAt", i.answered_at AS "answeredAt", i.due_at < now() AS "isOverdue"`)
const themes = query('themes', "SELECT id, names->>'en' AS name FROM themes WHERE municipality_id = $1")
const holders = query('holders', `
  SELECT p.id, o.name, p.titles->>'en' AS title
  FROM posts p JOIN officials o ON (o.municipality_id, o.post_id) = (p.municipality_id, p.id)
  WHERE p.municipality_id = $1 AND o.ended_at IS NULL`)
const details = query('details', `
  SELECT idea.id, v.strength, f.idea_id IS NOT NULL AS follows, r.kind, r.body, r.created_at AS "createdAt"
  FROM unnest($3::uuid[]) AS idea (id)
  LEFT JOIN votes v ON v.municipality_id = $1 AND v.idea_id = idea.id AND v.resident_id = $2 AND v.voted
  LEFT JOIN follows f ON f.municipality_id = $1 AND f.resident_id = $2 AND f.idea_id = idea.id
  LEFT JOIN LATERAL (
    SELECT kind, body, created_at FROM responses WHERE municipality_id = $1 AND idea_id = idea.id ORDER BY id DESC LIMIT 1
  ) AS r ON true`)
const setVote = query('set_vote', readFileSync(new URL('../set_vote.sql', import.meta.url), 'utf8'))

// What seldom changes is kept for a second, as the other server keeps it.
const catalogue = {}
async function readCatalogue () {
  Object.assign(catalogue, { themes: byId(await themes()), holders: byId(await holders()) })
}
await readCatalogue()
setInterval(readCatalogue, 1000)

const schema = `
  scalar DateTime
  type Query { leaderboard(first: Int!): LeaderboardConnection }
  type LeaderboardConnection { nodes: [LeaderboardEntry!]! }
  type LeaderboardEntry { rank: Int! score: Int! idea: Idea! }
  type Idea {
    id: ID! title: String! voteCount: Int! author: Resident theme: Theme! responsible: Official! clock: ResponseClock!
    latestResponse: Response viewerVote: Vote viewerFollows: Boolean!
  }
  type Resident { id: ID! displayName: String! }
  type Theme { id: ID! name: String! }
  type Official { id: ID! name: String! title: String! }
  type ResponseClock { reactionDueAt: DateTime! answerDueAt: DateTime! firstResponseAt: DateTime answeredAt: DateTime isOverdue: Boolean! }
  type Response { id: ID! kind: String! body: String! createdAt: DateTime! }
  type Vote { counts: Boolean! }
  type Mutation { setVote(input: SetVoteInput!): SetVotePayload }
  input SetVoteInput { ideaId: ID! voted: Boolean! }
  type SetVotePayload { idea: Idea errors: [UserError!]! }
  type UserError { code: String! message: String! }`

// Whether a board's selection asks for what only the wider statement reads; looked up once a document.
const wider = new WeakMap()
function wantsClock ({ fieldNodes }) {
  let found = wider.get(fieldNodes)
  if (found === undefined) wider.set(fieldNodes, found = /"(clock|responsible)"/.test(JSON.stringify(fieldNodes, ['selectionSet', 'selections', 'name', 'value'])))
  return found
}

const resolvers = {
  Query: {
    async leaderboard (_, { first }, context, info) {
      const ideas = await (wantsClock(info) ? boardWithClock : board)(first)
      return {
        nodes: ideas.map((idea, place) => {
          idea.theme = catalogue.themes.get(idea.theme_id)
          idea.responsible = catalogue.holders.get(idea.post_id)
          idea.clock = idea
          idea.author = idea.author_id && { id: idea.author_id, displayName: idea.display_name }
          return { rank: place + 1, score: idea.voteCount, idea }
        })
      }
    }
  },
  Mutation: {
    async setVote (_, { input: { ideaId, voted } }, { viewer }) {
      if (!viewer) throw new mercurius.ErrorWithProps('sign in', { code: 'UNAUTHENTICATED' })
      const [{ open, voteCount }] = await setVote(ideaId, viewer.sub, voted, municipality.vote_strength, municipality.time_zone)
      return open ? { idea: { id: ideaId, voteCount }, errors: [] } : { idea: null, errors: [{ code: 'CLOSED', message: 'takes no votes' }] }
    }
  }
}

const batch = (loader) => ({ loader, opts: { cache: false } }) // the cache would serialise every idea to make its key
const idsOf = (queries) => queries.map(({ obj }) => obj.id)
// The loaders of a level run in one tick and are asked about the same ideas: they share a statement.
const detail = (pick) => async (queries, context) => {
  context.details ??= details(context.viewer?.sub ?? null, idsOf(queries)).then(byId)
  const found = await context.details
  return queries.map(({ obj }) => pick(found.get(obj.id)))
}
const loaders = {
  Idea: {
    latestResponse: batch(detail((found) => found.kind === null ? null : found)),
    viewerVote: batch(detail((found) => found.strength === null ? null : { counts: counts(found.strength) })),
    viewerFollows: batch(detail((found) => found.follows))
  }
}

const app = Fastify({ logger: false })
app.register(mercurius, {
  schema,
  resolvers,
  loaders,
  jit: 1,
  compilerOptions: { disableLeafSerialization: true },
  context: ({ headers: { authorization } }) => ({ viewer: authorization ? verify(authorization.slice('Bearer '.length)) : null })
})
if (CACHE) {
  app.register(cache, {
    ttl: 1,
    policy: {
      Query: { leaderboard: { key: ({ arg, info }) => `${arg.first} ${wantsClock(info)}` } }
    }
  })
}
await app.listen({ host: '127.0.0.1', port: Number(PORT) })
process.once('SIGTERM', () => process.exit(0))
