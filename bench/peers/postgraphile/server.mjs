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

const isThere = (id) => id != null

const viewerFields = extendSchema(({ input: { pgRegistry: { pgExecutors, pgResources: { votes, follows } } } }) => ({
  typeDefs: `
    extend type Idea { viewerVote: Vote viewerFollows: Boolean! clock: ResponseClock! }
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
        clock: ($idea) => $idea
      }
    },
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
