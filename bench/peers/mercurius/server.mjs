// Mercurius as its users are advised to run it: JIT from the first request, loaders that batch, named (prepared) statements.
import { readFileSync } from 'node:fs'
import { createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import pg from 'pg'

const { DATABASE_URL, PUBLIC_KEY_FILE, PORT, POOL } = process.env
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL ?? 32), idleTimeoutMillis: 0 })
const { rows: [municipality] } = await pool.query("SELECT id, time_zone, vote_strength FROM municipalities WHERE slug = 'bench'")
const verify = createVerifier({ key: readFileSync(PUBLIC_KEY_FILE), algorithms: ['EdDSA'], cache: 10000, allowedAud: 'heitto', allowedIss: 'heitto' })

const STRENGTHS = ['DEVICE', 'EMAIL', 'STRONG']
const counts = (strength) => STRENGTHS.indexOf(strength) >= STRENGTHS.indexOf(municipality.vote_strength)

const query = (name, text) => async (...values) => (await pool.query({ name, text, values: [municipality.id, ...values] })).rows
const board = query('board', `
  SELECT i.id, i.title, t.vote_count AS "voteCount", i.author_id, i.theme_id
  FROM idea_tallies t JOIN ideas i ON (i.municipality_id, i.id) = (t.municipality_id, t.idea_id)
  WHERE t.municipality_id = $1 AND i.listed
  ORDER BY t.vote_count DESC, t.idea_id
  LIMIT $2`)
const authors = query('authors', 'SELECT id, display_name AS "displayName" FROM residents WHERE municipality_id = $1 AND id = ANY($2)')
const themes = query('themes', "SELECT id, names->>'en' AS name FROM themes WHERE municipality_id = $1 AND id = ANY($2)")
const viewerVotes = query('viewer_votes', `
  SELECT idea_id AS id, strength FROM votes WHERE municipality_id = $1 AND resident_id = $2 AND idea_id = ANY($3) AND voted`)
const setVote = query('set_vote', readFileSync(new URL('../set_vote.sql', import.meta.url), 'utf8'))

const schema = `
  type Query { leaderboard(first: Int!): LeaderboardConnection }
  type LeaderboardConnection { nodes: [LeaderboardEntry!]! }
  type LeaderboardEntry { rank: Int! score: Int! idea: Idea! }
  type Idea { id: ID! title: String! voteCount: Int! author: Resident theme: Theme! viewerVote: Vote }
  type Resident { id: ID! displayName: String! }
  type Theme { id: ID! name: String! }
  type Vote { counts: Boolean! }
  type Mutation { setVote(input: SetVoteInput!): SetVotePayload }
  input SetVoteInput { ideaId: ID! voted: Boolean! }
  type SetVotePayload { idea: Idea errors: [UserError!]! }
  type UserError { code: String! message: String! }`

const resolvers = {
  Query: {
    async leaderboard (_, { first }) {
      const ideas = await board(first)
      return { nodes: ideas.map((idea, place) => ({ rank: place + 1, score: idea.voteCount, idea })) }
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

const byId = (rows) => new Map(rows.map((row) => [row.id, row]))
const batch = (loader) => ({ loader, opts: { cache: false } }) // the cache would serialise every idea to make its key
const loaders = {
  Idea: {
    author: batch(async (queries) => {
      const found = byId(await authors(queries.map(({ obj }) => obj.author_id)))
      return queries.map(({ obj }) => found.get(obj.author_id) ?? null)
    }),
    theme: batch(async (queries) => {
      const found = byId(await themes([...new Set(queries.map(({ obj }) => obj.theme_id))]))
      return queries.map(({ obj }) => found.get(obj.theme_id))
    }),
    viewerVote: batch(async (queries, { viewer }) => {
      if (!viewer) return queries.map(() => null)
      const found = byId(await viewerVotes(viewer.sub, queries.map(({ obj }) => obj.id)))
      return queries.map(({ obj }) => found.has(obj.id) ? { counts: counts(found.get(obj.id).strength) } : null)
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
await app.listen({ host: '127.0.0.1', port: Number(PORT) })
process.once('SIGTERM', () => process.exit(0))
