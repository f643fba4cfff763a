// PostGraphile 5 over views (api.sql): the page is planned into one prepared statement; setVote runs the same statement as
// the other peer. No pgSettings, since they would wrap each request in a transaction of its own.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createVerifier } from 'fast-jwt'
import pg from 'pg'
import { postgraphile } from 'postgraphile'
import { makePgService } from 'postgraphile/adaptors/pg'
import { sideEffectWithPgClient } from 'postgraphile/@dataplan/pg'
import { context, get, lambda, object } from 'postgraphile/grafast'
import { grafserv } from 'postgraphile/grafserv/node'
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber'
import { extendSchema } from 'postgraphile/utils'

const { DATABASE_URL, PUBLIC_KEY_FILE, PORT, POOL } = process.env
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL ?? 16), idleTimeoutMillis: 0 })
const { rows: [municipality] } = await pool.query("SELECT id, time_zone, vote_strength FROM municipalities WHERE slug = 'bench'")
const verify = createVerifier({ key: readFileSync(PUBLIC_KEY_FILE), algorithms: ['EdDSA'], cache: 10000, allowedAud: 'heitto', allowedIss: 'heitto' })
const setVote = readFileSync(new URL('../set_vote.sql', import.meta.url), 'utf8')

// What seldom changes is kept for a second, as the other servers keep it: a join less for each.
const catalogue = {}
async function readCatalogue () {
  const read = async (text) => new Map((await pool.query(text, [municipality.id])).rows.map((row) => [row.id, row]))
  catalogue.themes = await read("SELECT id, names->>'en' AS name FROM themes WHERE municipality_id = $1")
  catalogue.holders = await read(`
    SELECT p.id, o.name, p.titles->>'en' AS title
    FROM posts p JOIN officials o ON (o.municipality_id, o.post_id) = (p.municipality_id, p.id)
    WHERE p.municipality_id = $1 AND o.ended_at IS NULL`)
}
await readCatalogue()
setInterval(readCatalogue, 1000)
const themeOf = (id) => catalogue.themes.get(id)
const holderOf = (id) => catalogue.holders.get(id)
const isThere = (id) => id != null

const viewerFields = extendSchema(({ input: { pgRegistry: { pgExecutors, pgResources: { votes, follows } } } }) => ({
  typeDefs: `
    extend type Idea { author: Resident theme: Theme! responsible: Official! viewerVote: Vote viewerFollows: Boolean! clock: ResponseClock! }
    type Resident { displayName: String! }
    type Theme { name: String! }
    type Official { name: String! title: String! }
    type ResponseClock { reactionDueAt: Datetime! answerDueAt: Datetime! firstResponseAt: Datetime answeredAt: Datetime isOverdue: Boolean! }
    extend type Mutation { setVote(input: SetVoteInput!): SetVotePayload }
    input SetVoteInput { ideaId: UUID! voted: Boolean! }
    type SetVotePayload { idea: VotedIdea errors: [UserError!]! }
    type VotedIdea { id: UUID! voteCount: Int! }
    type UserError { code: String! message: String! }`,
  objects: {
    Idea: {
      plans: {
        viewerVote: ($idea) => votes.get({ idea_id: $idea.get('id'), resident_id: context().get('viewerId') }),
        viewerFollows: ($idea) => lambda(follows.get({ idea_id: $idea.get('id'), resident_id: context().get('viewerId') }).get('idea_id'), isThere, true),
        clock: ($idea) => $idea,
        author: ($idea) => $idea,
        theme: ($idea) => lambda($idea.get('theme_id'), themeOf, true),
        responsible: ($idea) => lambda($idea.get('post_id'), holderOf, true)
      }
    },
    Resident: { plans: { displayName: ($idea) => $idea.get('author_name') } },
    ResponseClock: {
      plans: {
        reactionDueAt: ($idea) => $idea.get('reaction_due_at'),
        answerDueAt: ($idea) => $idea.get('answer_due_at'),
        firstResponseAt: ($idea) => $idea.get('first_response_at'),
        answeredAt: ($idea) => $idea.get('answered_at'),
        isOverdue: ($idea) => $idea.get('is_overdue')
      }
    },
    Mutation: {
      plans: {
        setVote (_, { $input }) {
          const $call = object({ ideaId: get($input, 'ideaId'), voted: get($input, 'voted'), viewerId: context().get('viewerId') })
          return sideEffectWithPgClient(pgExecutors.main, $call, async (client, { ideaId, voted, viewerId }) => {
            if (!viewerId) throw new Error('sign in')
            const { rows: [{ open, voteCount }] } = await client.query({
              name: 'set_vote', text: setVote, values: [municipality.id, ideaId, viewerId, voted, municipality.vote_strength, municipality.time_zone]
            })
            return open ? { idea: { id: ideaId, voteCount }, errors: [] } : { idea: null, errors: [{ code: 'CLOSED', message: 'takes no votes' }] }
          })
        }
      }
    }
  }
}))

const server = createServer()
const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  plugins: [viewerFields],
  pgServices: [makePgService({ pool, schemas: ['bench_api'] })],
  grafserv: { graphqlPath: '/graphql', graphiql: false, watch: false },
  grafast: {
    context: ({ node }) => {
      const authorization = node?.req.headers.authorization
      return { viewerId: authorization ? verify(authorization.slice('Bearer '.length)).sub : null }
    }
  }
})
await instance.createServ(grafserv).addTo(server)
server.listen(Number(PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
