/**
 * The words of error messages that a log may repeat: the vocabulary of V8, workerd, Postgres and its driver, Kafka, the
 * ONNX runtime, zod and Millrace. Everything else in a message may be what somebody has sent. No word is also a common
 * name of people or places, so `will`, `may`, `mark`, `art`, `frank`, `grace`, `victor` and `max` are not among them.
 */
const WORDS = `
a abort aborted about above access acknowledged active actual added address after again alarm algebra alias all allocate
allocation allowed already also always ambiguous an and another answer answered answers any aggregate application argument
arguments array arrays arrive arrived as asserted assertion assignment async at attempt attempts authentication available
await away be because been before began begin being below between bigint binary binding bindings bits body boolean both bound
bounds brace breaker broken broker budget buffer bundle by byte bytes cache call callback called caller cannot canceled
cancelled candidate candidates cannot catalog catch certificate champion change changed changes channel character characters
check checks class cleared client clock clone closed code codec column columns command commit committed compare compile
completed compression concurrent condition configuration configured conflict conflicting connect connected connection
constant constraint constraints construct constructor content context conversion convert copy correct corrupt could count
created current currently cursor cycle data database dataset date datatype dead deadline deadlock declaration declared
decode decoded decompress default defined delete deleted delivered denied dependency deployment descriptor deserialize
destination detail detected did different digest dimension dimensions disconnected division do does done double driver
dropped due duplicate duration during each early either element elements empty encode encoded encoding end ended ends
endpoint engine enough entity entries entry epoch equal error errors evaluation event events every exceed exceeded exceeds
exception exhausted exist existing exists expected expired expression extra fail failed fails failure feature features feed
fetch fetched few field fields file files fill finite first fit float fold folded folds follow for foreign format found from
full function gate gave generated given graph greater group had handle handler handshake has hash have having header
headers heartbeat held history hold host hung if ignored illegal immutable implemented import impossible in incomplete
incorrect increment index infinite infinity initialisation initialization input inputs insert inserted instance instantiate
instead insufficient integer interface internal into invalid invalidated invalidation invoke is isolate issue issuer it item
items iterable iterator its join key keys kind known label large larger last late later layer leader learned least length
less level limit limited line lineage link list load loaded local lock locked long longer lost malformed manifest many match
matches maximum member memory message messages metadata method migration minimum missing model module more most moved must
name named namespace nan near needs negative network never new newer no node none nor not nothing null number numbers
numeric object objects of off offset old on once one only open opened operation operator operators option or order origin
other out outbox output outputs outside over overflow overloaded own page pair parameter parameters parent parse parsed
parser part partition pass path payload peer pending permission place platform please point pointer pool port position
possible precision present previous primary private problem process produced progress promise properties property
protocol prototype provided queue queued query quota quoted range rate ratio reach reached read reader reading ready real
reason receive received receiver record records recover recursion redirect reference refused regional region registered
registry regular rejected relation relay release released remote removed repeated replay replica replaced reply request
requested requests require required requires reset resolve resource response rest result results retried retries retry
return returned returns revision role rollout root row rows rule run running runtime safe same saved schema script seconds
secret segment select send sent sequence serialization serialize server service session set setting several shape shard
shards short should shutdown shut signature single size skipped slot small snapshot so socket some source stack stage stale
start started starting state stated statement statements states status step still stopped storage store stored stream string
strings stub subrequest subrequests such supported suspended switch sync syntax system table tag tags takes target task
tensor terminated terminating text than that the their them then there these they this those thrown through time timed
timeout timestamp to together token tokens too took topic total trace training transaction transient transport tree trigger
try type types unable unauthorized unavailable undefined understood unexpected unhandled unique unknown unlock unread unsupported
until unsafe up update updated upgrade use used user uses using valid validation value values variable version versions
view violates violation wait waited waiting was watermark way weak were when where which while whole why window with within
without word work worker worked write writer writes written wrong yet you your zero
arraybuffer backend cloudflare durable http https json kafka neon onnx postgres sql sqlite tcp tls unicode url utf wasm
webassembly websocket worker workerd xml int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 varchar
jsonb bigint uuid bytea interval boolean timestamptz ms kb mb ns us
`;

export const PLAIN_WORDS: ReadonlySet<string> = new Set(WORDS.trim().split(/\s+/));
