// Mercurius as its users are advised to run it: JIT from the first request, loaders that batch, named (prepared) statements.
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
  SELECT i.id, i.title, t.vote_count AS "voteCount", i.author_id, i.theme_id${columns}
  FROM idea_tallies t JOIN ideas i ON (i.municipality_id, i.id) = (t.municipality_id, t.idea_id)
  WHERE t.municipality_id = $1 AND i.listed
  ORDER BY t.vote_count DESC, t.idea_id
  LIMIT $2`)
const board = boardOf('board', '')
const boardWithClock = boardOf('board_with_clock', `, i.post_id, i.reaction_due_at AS "reactionDueAt", i.answer_due_at AS "answerDueAt",
    i.first_response_at AS "firstResponseAt", i.answered_at AS "answeredAt", i.due_at < now() AS "isOverdue"`)
const authors = query('authors', 'SELECT id, display_name AS "displayName" FROM residents WHERE municipality_id = $1 AND id = ANY($2)')
const themes = query('themes', "SELECT id, names->>'en' AS name FROM themes WHERE municipality_id = $1")
const holders = query('holders', `
  SELECT p.id, o.name, p.titles->>'en' AS title
  FROM posts p JOIN officials o ON (o.municipality_id, o.post_id) = (p.municipality_id, p.id)
  WHERE p.municipality_id = $1 AND o.ended_at IS NULL`)
const viewerVotes = query('viewer_votes', `
  SELECT idea_id AS id, strength FROM votes WHERE municipality_id = $1 AND resident_id = $2 AND idea_id = ANY($3) AND voted`)
const viewerFollows = query('viewer_follows', 'SELECT idea_id FROM follows WHERE municipality_id = $1 AND resident_id = $2 AND idea_id = ANY($3)')
const latestResponses = query('latest_responses', `
  SELECT latest.*
  FROM unnest($2::uuid[]) AS idea (id) CROSS JOIN LATERAL (
    SELECT r.idea_id AS id, r.kind, r.body, r.created_at AS "createdAt"
    FROM responses r WHERE r.municipality_id = $1 AND r.idea_id = idea.id
    ORDER BY r.id DESC
    LIMIT 1
  ) AS latest`)
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
const loaders = {
  Idea: {
    author: batch(async (queries) => {
      const found = byId(await authors(queries.map(({ obj }) => obj.author_id)))
      return queries.map(({ obj }) => found.get(obj.author_id) ?? null)
    }),
    latestResponse: batch(async (queries) => {
      const found = byId(await latestResponses(idsOf(queries)))
      return queries.map(({ obj }) => found.get(obj.id) ?? null)
    }),
    viewerVote: batch(async (queries, { viewer }) => {
      if (!viewer) return queries.map(() => null)
      const found = byId(await viewerVotes(viewer.sub, idsOf(queries)))
      return queries.map(({ obj }) => found.has(obj.id) ? { counts: counts(found.get(obj.id).strength) } : null)
    }),
    viewerFollows: batch(async (queries, { viewer }) => {
      if (!viewer) return queries.map(() => false)
      const found = new Set((await viewerFollows(viewer.sub, idsOf(queries))).map((row) => row.idea_id))
      return queries.map(({ obj }) => found.has(obj.id))
    })
  }
}

const app = Fastify({ logger: false })
app.register(mercurius, {
  schema,
  resolvers,
  loaders,
  jit: 1,
  context: ({ headers: { authorization } }) => ({ viewer: authorization ? verify(authorization.slice('Bearer '.length)) : null })
})
if (CACHE) {
  app.register(cache, {
    ttl: 1,
    policy: {
      Query: { leaderboard: { key: ({ arg, info }) => `${arg.first} ${wantsClock(info)}` } },
      Idea: { author: { key: ({ self }) => self.author_id } }
    }
  })
}
await app.listen({ host: '127.0.0.1', port: Number(PORT) })
process.once('SIGTERM', () => process.exit(0))
