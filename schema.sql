-- Every table of connvo. A fresh database runs this file once; PRAGMA
-- user_version is set by the db package. Conventions:
--   instants are Unix milliseconds, UTC; ids are text; flags are 0 or 1;
--   key columns stand first and large texts last, because the change capture
--   reads a row from its first column on;
--   numbers called seq, position or commit come from the one sequence.
-- A query may be live only over tables whose changes are published. These are
-- not, because no query answers from them:
-- unwatched: sequence meta idempotency dev_keys dev_users last_seen rate_limits
-- unwatched: provider_events provider_cursor

-- The one sequence that numbers every write, in commit order.
CREATE TABLE sequence (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  last INTEGER NOT NULL CHECK (last >= 0)
) STRICT;

-- How far the deletion of what is past its time has come in a feed: something of
-- what had a position up to gone is no more. owner is the meeting, the person or the
-- organization that the feed is of. The triggers of its tables keep it, so that
-- whoever goes on from an earlier position is always told.
CREATE TABLE horizons (
  owner      TEXT NOT NULL,
  collection TEXT NOT NULL,
  gone       INTEGER NOT NULL,
  PRIMARY KEY (owner, collection)
) STRICT, WITHOUT ROWID;

-- How long an organization keeps what its meetings leave, where it has decided so.
CREATE TABLE retention_settings (
  org_id           TEXT PRIMARY KEY CHECK (org_id <> ''),
  messages_days    INTEGER NOT NULL CHECK (messages_days BETWEEN 1 AND 3650),
  transcripts_days INTEGER NOT NULL CHECK (transcripts_days BETWEEN 1 AND 3650)
) STRICT, WITHOUT ROWID;

-- Facts about the file itself, such as the digest of the schema it was made with.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- People. subject is the identity provider's name for them. Organization and
-- role come from the token, or from the provider's webhooks, never from clients;
-- claims_at is the instant of the newest source, so that an old token undoes nothing.
-- address is email in the form in which addresses are compared, '' until the
-- provider has verified that it is theirs. name_key is the name in the form in
-- which names are sorted and looked for.
CREATE TABLE users (
  id           TEXT PRIMARY KEY,
  subject      TEXT NOT NULL UNIQUE,
  address      TEXT NOT NULL DEFAULT '',
  active       INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
  org_id       TEXT NOT NULL DEFAULT '',
  org_role     TEXT NOT NULL DEFAULT '',
  claims_at    INTEGER NOT NULL,
  email        TEXT NOT NULL,
  display_name TEXT NOT NULL,
  name_key     TEXT NOT NULL DEFAULT '',
  avatar_url   TEXT NOT NULL DEFAULT '',
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_address ON users (address);
-- The directory of an organization, by name.
CREATE INDEX users_by_org ON users (org_id, active, name_key, id);

-- What people want done, apart from users, because it is asked for by other
-- queries. Who has changed nothing has no row, and the defaults of the settings
-- package.
CREATE TABLE settings (
  user_id    TEXT PRIMARY KEY REFERENCES users (id),
  visibility TEXT NOT NULL CHECK (visibility IN ('public', 'organization', 'connections', 'private')),
  sharing    INTEGER NOT NULL CHECK (sharing IN (0, 1)),
  tracking   INTEGER NOT NULL CHECK (tracking IN (0, 1)),
  email      INTEGER NOT NULL CHECK (email IN (0, 1)),
  push       INTEGER NOT NULL CHECK (push IN (0, 1)),
  sms        INTEGER NOT NULL CHECK (sms IN (0, 1))
) STRICT, WITHOUT ROWID;

-- What people tell about themselves, apart from users, so that a change of it runs
-- no query again that shows a name. languages and skills are JSON arrays.
CREATE TABLE profiles (
  user_id      TEXT PRIMARY KEY REFERENCES users (id),
  age          INTEGER CHECK (age BETWEEN 13 AND 120),
  gender       TEXT NOT NULL CHECK (gender IN ('', 'male', 'female', 'non-binary', 'prefer-not-to-say')),
  time_zone    TEXT NOT NULL,
  updated_at   INTEGER NOT NULL,
  field        TEXT NOT NULL,
  job_title    TEXT NOT NULL,
  company      TEXT NOT NULL,
  linkedin_url TEXT NOT NULL,
  languages    TEXT NOT NULL,
  skills       TEXT NOT NULL,
  experience   TEXT NOT NULL,
  goals        TEXT NOT NULL,
  bio          TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who has told enough about themselves to begin.
CREATE TABLE onboardings (
  user_id      TEXT PRIMARY KEY REFERENCES users (id),
  completed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What people are interested in: keys of the catalogue, which is in the code.
CREATE TABLE user_interests (
  user_id  TEXT NOT NULL REFERENCES users (id),
  interest TEXT NOT NULL,
  PRIMARY KEY (user_id, interest)
) STRICT, WITHOUT ROWID;

-- How many people have an interest: counted by whatever writes one, so that the
-- catalogue is answered from a row for each.
CREATE TABLE interest_counts (
  interest TEXT PRIMARY KEY,
  people   INTEGER NOT NULL CHECK (people >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER user_interests_gained AFTER INSERT ON user_interests
BEGIN
  INSERT INTO interest_counts (interest, people) VALUES (NEW.interest, 1)
  ON CONFLICT (interest) DO UPDATE SET people = people + 1;
END;

CREATE TRIGGER user_interests_lost AFTER DELETE ON user_interests
BEGIN
  UPDATE interest_counts SET people = people - 1 WHERE interest = OLD.interest;
END;

-- When people were last seen, to within 5 minutes: apart from users, so that
-- writing it makes nobody's query run again.
CREATE TABLE last_seen (
  user_id TEXT PRIMARY KEY REFERENCES users (id),
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who has used up more than half of what a policy allows, and when they have all
-- of it again; not to be forgiven by a restart. who is a user or a network.
CREATE TABLE rate_limits (
  policy  TEXT NOT NULL,
  who     TEXT NOT NULL,
  full_at INTEGER NOT NULL,
  PRIMARY KEY (policy, who)
) STRICT, WITHOUT ROWID;
CREATE INDEX rate_limits_by_time ON rate_limits (full_at);

-- Sessions, as the identity provider names them, that have ended while tokens of
-- theirs may still be valid. A row is forgotten when none can be any more.
CREATE TABLE ended_sessions (
  session   TEXT PRIMARY KEY CHECK (session <> ''),
  forget_at INTEGER NOT NULL,
  ended_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_sessions_by_time ON ended_sessions (forget_at);

-- Sessions, as the identity provider names them, whose first use here was recorded:
-- the record tells of a sign-in once, also where tokens come without a browser.
CREATE TABLE begun_sessions (
  session  TEXT PRIMARY KEY CHECK (session <> ''),
  begun_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX begun_sessions_by_time ON begun_sessions (begun_at);

-- Browsers that are signed in. name is how the identity provider called the
-- session when it began, current how it does now. sealed holds the refresh token,
-- by a key of which a part is in the browser's cookie only and the other in the
-- configuration: a copy of this file opens nothing. A row ends with its session,
-- so that none is in ended_sessions too. impersonator is who acts in the user's
-- place, as the identity provider calls them, or ''.
CREATE TABLE sessions (
  id            TEXT PRIMARY KEY,
  user_id       TEXT NOT NULL REFERENCES users (id),
  name          TEXT NOT NULL CHECK (name <> ''),
  current       TEXT NOT NULL CHECK (current <> ''),
  created_at    INTEGER NOT NULL,
  renewed_at    INTEGER NOT NULL,
  token_ends_at INTEGER NOT NULL,
  ends_at       INTEGER NOT NULL,
  impersonator  TEXT NOT NULL,
  sealed        BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, renewed_at);
CREATE INDEX sessions_by_name ON sessions (name);
CREATE INDEX sessions_by_current ON sessions (current);
CREATE INDEX sessions_by_end ON sessions (ends_at);

-- What the identity provider last told of a person's name and picture: where
-- users differs, the person has chosen something else, which stays.
CREATE TABLE provider_profiles (
  user_id      TEXT PRIMARY KEY REFERENCES users (id),
  told_at      INTEGER NOT NULL,
  display_name TEXT NOT NULL,
  avatar_url   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who belongs to which organization, as the newest token or webhook told, also
-- of people who were never seen: a token that is older than the row does not
-- bring back what was taken away.
CREATE TABLE memberships (
  subject TEXT NOT NULL,
  org_id  TEXT NOT NULL CHECK (org_id <> ''),
  active  INTEGER NOT NULL CHECK (active IN (0, 1)),
  told_at INTEGER NOT NULL,
  role    TEXT NOT NULL,
  PRIMARY KEY (subject, org_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_org ON memberships (org_id, subject) WHERE active = 1;

-- People and organizations that the identity provider has deleted, by its name
-- for them, which it gives to nobody else: tokens of theirs may still be valid.
CREATE TABLE departed (
  id          TEXT PRIMARY KEY,
  departed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who has asked to be erased, and when that was done, null until then: kept for
-- good, so that a database that was restored forgets them again. The account of a
-- row need not be there.
CREATE TABLE erasures (
  user_id  TEXT PRIMARY KEY,
  asked_at INTEGER NOT NULL,
  done_at  INTEGER
) STRICT, WITHOUT ROWID;

-- Digests of the identity provider's names for people who have asked to be erased,
-- while tokens from before may still be valid: those make no new account.
CREATE TABLE erased_subjects (
  digest    BLOB PRIMARY KEY,
  erased_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX erased_subjects_by_time ON erased_subjects (erased_at);

-- Events of the identity provider that were received, so that each is once: it
-- sends them again for three days, and the list of them has them too.
CREATE TABLE provider_events (
  id          TEXT PRIMARY KEY,
  received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX provider_events_by_time ON provider_events (received_at);

-- How far the provider's list of events has been read: the last event, '' for
-- none yet, and the instant of it.
CREATE TABLE provider_cursor (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  event TEXT NOT NULL,
  since INTEGER NOT NULL
) STRICT;

-- Who does not want to have to do with whom: two rows for each pair, so that
-- either is found under their own id, whoever of them blocks; mine is 1 where it is
-- user_id. Whoever reads lists of people leaves out those who have a row here.
CREATE TABLE blocks (
  user_id    TEXT NOT NULL REFERENCES users (id),
  other_id   TEXT NOT NULL REFERENCES users (id),
  mine       INTEGER NOT NULL CHECK (mine IN (0, 1)),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, other_id),
  CHECK (user_id <> other_id)
) STRICT, WITHOUT ROWID;
-- Whom somebody blocks, newest first.
CREATE INDEX blocks_by_blocker ON blocks (user_id, created_at, other_id) WHERE mine = 1;

-- Who is connected with whom, and who has asked to be: two rows of one id for each
-- pair, as each of them sees it. direction is who asked.
CREATE TABLE connections (
  user_id     TEXT NOT NULL REFERENCES users (id),
  other_id    TEXT NOT NULL REFERENCES users (id),
  id          TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('pending', 'accepted')),
  direction   TEXT NOT NULL CHECK (direction IN ('sent', 'received')),
  created_at  INTEGER NOT NULL,
  accepted_at INTEGER CHECK ((accepted_at IS NULL) = (status = 'pending')),
  message     TEXT NOT NULL,
  PRIMARY KEY (user_id, other_id),
  CHECK (user_id <> other_id)
) STRICT, WITHOUT ROWID;
-- The list of a person, newest first, with what it is filtered by.
CREATE INDEX connections_by_user ON connections (user_id, id, status, direction);
-- What their bounds are counted in.
CREATE INDEX connections_by_status ON connections (user_id, status, direction);

-- Requests that were declined, or withdrawn, lately: apart, because nobody is shown
-- them. They hold back whoever would ask the same person again and again.
CREATE TABLE ended_requests (
  requester_id TEXT NOT NULL REFERENCES users (id),
  addressee_id TEXT NOT NULL REFERENCES users (id),
  declined     INTEGER NOT NULL CHECK (declined IN (0, 1)),
  ended_at     INTEGER NOT NULL,
  PRIMARY KEY (requester_id, addressee_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_requests_by_time ON ended_requests (ended_at);

CREATE TABLE meetings (
  id               TEXT PRIMARY KEY,
  state            TEXT NOT NULL CHECK (state IN ('scheduled', 'active', 'concluded', 'cancelled')),
  organizer_id     TEXT NOT NULL REFERENCES users (id),
  org_id           TEXT NOT NULL,
  kind             TEXT NOT NULL CHECK (kind IN ('one-on-one', 'small-group', 'large-meeting', 'webinar')),
  scheduled_at     INTEGER,
  duration_ms      INTEGER NOT NULL CHECK (duration_ms > 0),
  started_at       INTEGER,
  started_by       TEXT REFERENCES users (id),
  ended_at         INTEGER,
  max_participants INTEGER NOT NULL CHECK (max_participants > 0),
  recording        INTEGER NOT NULL CHECK (recording IN (0, 1)),
  transcription    INTEGER NOT NULL CHECK (transcription IN (0, 1)),
  created_at       INTEGER NOT NULL,
  updated_at       INTEGER NOT NULL,
  title            TEXT NOT NULL,
  description      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who is in a meeting. A removed person has no row. meeting_state and
-- scheduled_at repeat what meetings says, so that an access decision reads one
-- row and a person's list by state or by time reads one index; triggers keep them.
CREATE TABLE participants (
  meeting_id    TEXT NOT NULL REFERENCES meetings (id),
  user_id       TEXT NOT NULL REFERENCES users (id),
  meeting_state TEXT NOT NULL,
  role          TEXT NOT NULL CHECK (role IN ('host', 'cohost', 'participant', 'observer')),
  status        TEXT NOT NULL CHECK (status IN ('invited', 'joined', 'left')),
  scheduled_at  INTEGER,
  joined_at     INTEGER,
  left_at       INTEGER,
  PRIMARY KEY (meeting_id, user_id)
) STRICT, WITHOUT ROWID;
-- Lists of a person, newest meeting first: a meeting's id grows with time.
CREATE INDEX participants_by_user ON participants (user_id, meeting_id);
CREATE INDEX participants_by_user_state ON participants (user_id, meeting_state, meeting_id);
-- A person's calendar, soonest first.
CREATE INDEX participants_by_user_time ON participants (user_id, scheduled_at, meeting_id);

-- Who was invited by an e-mail address that nobody here has. When somebody signs
-- in with it, the row becomes one of participants.
CREATE TABLE invitations (
  meeting_id TEXT NOT NULL REFERENCES meetings (id),
  id         TEXT NOT NULL,
  email      TEXT NOT NULL CHECK (email <> ''),
  role       TEXT NOT NULL CHECK (role IN ('cohost', 'participant', 'observer')),
  invited_by TEXT NOT NULL REFERENCES users (id),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (meeting_id, id),
  UNIQUE (email, meeting_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER meetings_state AFTER UPDATE OF state ON meetings
WHEN OLD.state <> NEW.state
BEGIN
  UPDATE participants SET meeting_state = NEW.state WHERE meeting_id = NEW.id;
END;
CREATE TRIGGER meetings_moved AFTER UPDATE OF scheduled_at ON meetings
WHEN OLD.scheduled_at IS NOT NEW.scheduled_at
BEGIN
  UPDATE participants SET scheduled_at = NEW.scheduled_at WHERE meeting_id = NEW.id;
END;

-- Meetings that have ended, or were cancelled, and are still remembered as they were,
-- the one that ended first at the beginning; what they leave is deleted by it.
CREATE TABLE concluded (
  ended_at   INTEGER NOT NULL,
  meeting_id TEXT NOT NULL REFERENCES meetings (id),
  PRIMARY KEY (ended_at, meeting_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER meetings_over AFTER UPDATE OF state ON meetings
WHEN OLD.state <> NEW.state AND NEW.state IN ('concluded', 'cancelled')
BEGIN
  INSERT INTO concluded (ended_at, meeting_id) VALUES (coalesce(NEW.ended_at, NEW.updated_at), NEW.id) ON CONFLICT DO NOTHING;
END;

-- What happened in a meeting, append-only: rows arrive in order of their key,
-- so a commit touches the last page only.
CREATE TABLE events (
  position   INTEGER PRIMARY KEY,
  meeting_id TEXT NOT NULL,
  type       TEXT NOT NULL,
  actor_id   TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
-- An index entry ends in the row's key, so this one is in order of position.
CREATE INDEX events_by_meeting ON events (meeting_id);
CREATE TRIGGER events_gone AFTER DELETE ON events
BEGIN
  INSERT INTO horizons (owner, collection, gone) VALUES (OLD.meeting_id, 'events', OLD.position)
  ON CONFLICT (owner, collection) DO UPDATE SET gone = excluded.gone WHERE excluded.gone > gone;
END;

-- Chat. seq is the number of the creation, position that of the last change,
-- thread the seq of the message that the thread began with, its own for one that
-- answers nothing. user_id is null for what the server says itself; attachments
-- are a JSON array, or ''.
CREATE TABLE messages (
  seq         INTEGER PRIMARY KEY,
  meeting_id  TEXT NOT NULL,
  thread      INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  user_id     TEXT,
  reply_to    INTEGER,
  created_at  INTEGER NOT NULL,
  edited_at   INTEGER,
  deleted_at  INTEGER,
  attachments TEXT NOT NULL,
  content     TEXT NOT NULL
) STRICT;
CREATE INDEX messages_by_seq ON messages (meeting_id); -- and seq, the row's key
CREATE INDEX messages_by_position ON messages (meeting_id, position);
CREATE INDEX messages_by_thread ON messages (thread); -- and seq, the row's key
CREATE INDEX messages_by_thread_position ON messages (thread, position);

-- Chats that hold messages, by the oldest in each: organizations keep theirs for
-- different times, so what is past its time is looked for in one of them.
CREATE TABLE chats (
  meeting_id TEXT PRIMARY KEY REFERENCES meetings (id),
  org_id     TEXT NOT NULL,
  oldest_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX chats_by_age ON chats (org_id, oldest_at);
CREATE TRIGGER chats_opened AFTER INSERT ON messages
WHEN NOT EXISTS (SELECT 1 FROM chats WHERE meeting_id = NEW.meeting_id)
BEGIN
  INSERT INTO chats (meeting_id, org_id, oldest_at) SELECT id, org_id, NEW.created_at FROM meetings WHERE id = NEW.meeting_id;
END;
CREATE TRIGGER messages_expired AFTER DELETE ON messages
BEGIN
  INSERT INTO horizons (owner, collection, gone) VALUES (OLD.meeting_id, 'messages', OLD.position)
  ON CONFLICT (owner, collection) DO UPDATE SET gone = excluded.gone WHERE excluded.gone > gone;
END;

-- The words of the chat. A meeting is one word, so that a search reads its
-- messages and no others. secure-delete takes a deleted word out of the index at
-- once; without it the word stays until segments are merged. The first three
-- characters of a word are one too: looking them up must not read all words that
-- begin with them. More such prefixes would cost a fifth of every write each.
-- crisismerge is how many segments of a size are merged in one transaction whatever
-- it costs: its default, 16, came up in sweeps, and took 90 ms.
CREATE VIEW message_texts AS SELECT seq, hex(meeting_id) AS meeting, content FROM messages;
CREATE VIRTUAL TABLE message_words USING fts5 (
  meeting, content, content = 'message_texts', content_rowid = 'seq', columnsize = 0, prefix = '3'
);
INSERT INTO message_words (message_words, rank) VALUES ('secure-delete', 1);
INSERT INTO message_words (message_words, rank) VALUES ('crisismerge', 256);

CREATE TRIGGER messages_posted AFTER INSERT ON messages
BEGIN
  INSERT INTO message_words (rowid, meeting, content) VALUES (NEW.seq, hex(NEW.meeting_id), NEW.content);
END;
CREATE TRIGGER messages_changed AFTER UPDATE OF content ON messages
WHEN OLD.content <> NEW.content
BEGIN
  INSERT INTO message_words (message_words, rowid, meeting, content) VALUES ('delete', OLD.seq, hex(OLD.meeting_id), OLD.content);
  INSERT INTO message_words (rowid, meeting, content) VALUES (NEW.seq, hex(NEW.meeting_id), NEW.content);
END;
CREATE TRIGGER messages_gone AFTER DELETE ON messages
BEGIN
  INSERT INTO message_words (message_words, rowid, meeting, content) VALUES ('delete', OLD.seq, hex(OLD.meeting_id), OLD.content);
END;

-- The notes of a meeting; those that nobody has touched have no row. What they say
-- is the newest of note_snapshots and the edits since, so that an edit of a long
-- text does not write it all. Versions up to floor, which is one, are gone from
-- note_ops; 0 when none is. units are the UTF-16 code units of the text.
CREATE TABLE notes (
  meeting_id  TEXT PRIMARY KEY REFERENCES meetings (id),
  version     INTEGER NOT NULL,
  floor       INTEGER NOT NULL DEFAULT 0,
  locked      INTEGER NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
  edits_since INTEGER NOT NULL DEFAULT 0,
  bytes_since INTEGER NOT NULL DEFAULT 0,
  units       INTEGER NOT NULL DEFAULT 0,
  updated_at  INTEGER,
  updated_by  TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;

-- Every edit of notes as it was applied, append-only. version is its number of the
-- one sequence. ops are a Delta in JSON. client_id is '' for what the server does.
CREATE TABLE note_ops (
  meeting_id TEXT NOT NULL,
  version    INTEGER NOT NULL,
  client_id  TEXT NOT NULL,
  client_seq INTEGER NOT NULL,
  user_id    TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ops        TEXT NOT NULL,
  PRIMARY KEY (meeting_id, version)
) STRICT, WITHOUT ROWID;
-- The answer to an edit that is sent again; an edit is once, whatever the program thinks.
CREATE UNIQUE INDEX note_ops_by_client ON note_ops (meeting_id, client_id, client_seq) WHERE client_id <> '';

-- What the notes were at some of their versions, so that every one is near.
CREATE TABLE note_snapshots (
  meeting_id TEXT NOT NULL,
  version    INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  user_id    TEXT NOT NULL,
  content    TEXT NOT NULL,
  PRIMARY KEY (meeting_id, version)
) STRICT, WITHOUT ROWID;

-- Who edits notes with what. seq is the last edit that is in note_ops, base the
-- version that the client last showed to have, known its edits after that as they
-- are on its own document, which note_ops does not tell; a JSON array of Deltas.
CREATE TABLE note_clients (
  client_id  TEXT PRIMARY KEY CHECK (client_id <> ''),
  meeting_id TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  base       INTEGER NOT NULL,
  known      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX note_clients_by_meeting ON note_clients (meeting_id);

-- What was said in meetings, append-only: rows arrive in order of their key, in runs
-- of a meeting, so that a commit touches the last page and one of the index for each
-- run. speaker_id is '' where nobody has said who speaks; label is that of a speaker
-- whom speakers may name, or ''. Offsets are milliseconds since the meeting's start.
CREATE TABLE transcripts (
  position   INTEGER PRIMARY KEY,
  meeting_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  start_ms   INTEGER NOT NULL,
  end_ms     INTEGER NOT NULL,
  confidence REAL NOT NULL,
  speaker_id TEXT NOT NULL,
  label      TEXT NOT NULL,
  language   TEXT NOT NULL,
  utterance  TEXT NOT NULL,
  text       TEXT NOT NULL
) STRICT;
CREATE INDEX transcripts_by_meeting ON transcripts (meeting_id); -- and position, the row's key
CREATE TRIGGER transcripts_gone AFTER DELETE ON transcripts
BEGIN
  INSERT INTO horizons (owner, collection, gone) VALUES (OLD.meeting_id, 'transcripts', OLD.position)
  ON CONFLICT (owner, collection) DO UPDATE SET gone = excluded.gone WHERE excluded.gone > gone;
END;

-- Meetings of which there is a transcript, by the oldest that is in it, as chats are.
CREATE TABLE transcribed (
  meeting_id TEXT PRIMARY KEY REFERENCES meetings (id),
  org_id     TEXT NOT NULL,
  oldest_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX transcribed_by_age ON transcribed (org_id, oldest_at);

-- Where in a transcript the chunks are that begin within five minutes: between first
-- and last, among others. The latest of them ends at end_ms, and the last to begin begins
-- at start_ms.
CREATE TABLE transcript_buckets (
  meeting_id TEXT NOT NULL,
  bucket_ms  INTEGER NOT NULL,
  end_ms     INTEGER NOT NULL,
  first      INTEGER NOT NULL,
  last       INTEGER NOT NULL,
  start_ms   INTEGER NOT NULL,
  chunks     INTEGER NOT NULL,
  PRIMARY KEY (meeting_id, bucket_ms)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER transcribed_gone AFTER DELETE ON transcribed
BEGIN
  DELETE FROM transcript_buckets WHERE meeting_id = OLD.meeting_id;
END;

-- Meetings whose transcript was deleted by the host: nothing of it is told from then on,
-- while jobs delete what is stored, and nothing is added, such as what was being worked
-- on. A row stays as long as its meeting.
CREATE TABLE deleted_transcripts (
  meeting_id TEXT PRIMARY KEY REFERENCES meetings (id),
  deleted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What senders call the chunks of a meeting that runs, so that each counts once.
CREATE TABLE utterances (
  meeting_id TEXT NOT NULL,
  utterance  TEXT NOT NULL CHECK (utterance <> ''),
  position   INTEGER NOT NULL,
  PRIMARY KEY (meeting_id, utterance)
) STRICT, WITHOUT ROWID;

-- Pieces of speech, each a file of a megabyte at most, from their being taken in until
-- they are in the transcript: number tells the order in which they came. What is looked
-- at stands before what is large.
CREATE TABLE audio (
  number      INTEGER PRIMARY KEY,
  meeting_id  TEXT NOT NULL REFERENCES meetings (id),
  user_id     TEXT NOT NULL REFERENCES users (id),
  created_at  INTEGER NOT NULL,
  start_ms    INTEGER NOT NULL CHECK (start_ms >= 0),
  duration_ms INTEGER NOT NULL CHECK (duration_ms > 0),
  format      TEXT NOT NULL CHECK (format IN ('wav', 'webm')),
  size        INTEGER NOT NULL,
  sound       BLOB NOT NULL
) STRICT;
CREATE INDEX audio_by_meeting ON audio (meeting_id, size);
CREATE INDEX audio_by_user ON audio (user_id);

-- Whom the labels of a meeting stand for; user_id is null until somebody has said so.
-- How much was said until then is what becomes theirs.
CREATE TABLE speakers (
  meeting_id TEXT NOT NULL REFERENCES meetings (id),
  label      TEXT NOT NULL CHECK (label <> ''),
  user_id    TEXT,
  named_at   INTEGER,
  named_by   TEXT,
  total_ms   INTEGER NOT NULL DEFAULT 0,
  words      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (meeting_id, label),
  CHECK ((user_id IS NULL) = (named_at IS NULL) AND (user_id IS NULL) = (named_by IS NULL))
) STRICT, WITHOUT ROWID;
-- The labels of one person: they are erased with them.
CREATE INDEX speakers_by_user ON speakers (user_id) WHERE user_id IS NOT NULL;

-- How far what follows from transcripts is done: of all up to settled, and of the
-- round after it, which ends with until, of what comes before (meeting_id, position)
-- in this order, that included.
CREATE TABLE transcript_progress (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  settled    INTEGER NOT NULL,
  until      INTEGER NOT NULL,
  meeting_id TEXT NOT NULL,
  position   INTEGER NOT NULL
) STRICT;
INSERT INTO transcript_progress (id, settled, until, meeting_id, position) VALUES (1, 0, 0, '', 0);

-- What one speaker said without a long pause: a function of the meeting's chunks, which
-- it outlives. first is the position of its first chunk; chunks are the places of all of
-- them in the text, packed, so that it is taken apart when one comes that belongs in
-- between. topics, a JSON array, and sentiment are null while it is the last of its
-- meeting, and may grow; sentiment also where it is not known.
CREATE TABLE segments (
  meeting_id TEXT NOT NULL REFERENCES meetings (id),
  start_ms   INTEGER NOT NULL,
  first      INTEGER NOT NULL,
  end_ms     INTEGER NOT NULL,
  speaker_id TEXT NOT NULL,
  label      TEXT NOT NULL,
  topics     TEXT,
  sentiment  REAL,
  chunks     BLOB NOT NULL,
  text       TEXT NOT NULL,
  PRIMARY KEY (meeting_id, start_ms, first),
  CHECK (topics IS NOT NULL OR sentiment IS NULL)
) STRICT, WITHOUT ROWID;

-- How much was said by whom in which language, up to the position settled: a transcript
-- is longer than one query may read. confidence is the sum, in thousandths;
-- longest_ms tells how far before an instant a segment begins that goes on then.
CREATE TABLE transcript_counts (
  meeting_id TEXT NOT NULL REFERENCES meetings (id),
  speaker_id TEXT NOT NULL,
  label      TEXT NOT NULL,
  language   TEXT NOT NULL,
  settled    INTEGER NOT NULL,
  chunks     INTEGER NOT NULL,
  words      INTEGER NOT NULL,
  confidence INTEGER NOT NULL,
  spoken_ms  INTEGER NOT NULL,
  start_ms   INTEGER NOT NULL,
  end_ms     INTEGER NOT NULL,
  longest_ms INTEGER NOT NULL,
  PRIMARY KEY (meeting_id, speaker_id, label, language)
) STRICT, WITHOUT ROWID;

-- The words of transcripts as the program compares them, in ASCII or not, with a space
-- between: each begins with a code of its meeting, so that a search reads what was said
-- in one meeting, and none of the program's words is another of the index's. It finds
-- words, not phrases. Without a copy of how often and where a word stands it costs a
-- third. secure-delete and crisismerge are as in message_words;
-- parts of the index are merged by eight, since each merge writes them anew.
CREATE VIEW transcript_texts AS SELECT position, text AS words FROM transcripts;
CREATE VIRTUAL TABLE transcript_words USING fts5 (
  words, content = 'transcript_texts', content_rowid = 'position', columnsize = 0, detail = 'none', tokenize = 'ascii'
);
INSERT INTO transcript_words (transcript_words, rank) VALUES ('secure-delete', 1);
INSERT INTO transcript_words (transcript_words, rank) VALUES ('automerge', 8);
INSERT INTO transcript_words (transcript_words, rank) VALUES ('crisismerge', 256);

-- What goes on in a meeting besides its speaking. One of which there is nothing to
-- tell has no row. lull_since is null while there is no lull, shifted_at until the
-- subject has changed; topics are a JSON array.
CREATE TABLE conversations (
  meeting_id TEXT PRIMARY KEY REFERENCES meetings (id),
  recording  INTEGER NOT NULL DEFAULT 0 CHECK (recording IN (0, 1)),
  severity   TEXT NOT NULL DEFAULT 'none' CHECK (severity IN ('none', 'mild', 'severe')),
  lull_since INTEGER CHECK ((lull_since IS NULL) = (severity = 'none')),
  shifted_at INTEGER,
  topics     TEXT NOT NULL DEFAULT '[]'
) STRICT, WITHOUT ROWID;

-- Who has spoken how much in a meeting. It changes with every utterance, so it is
-- apart, and a row each. user_id is '' for all whom nobody has named. recent is a
-- JSON array of milliseconds in steps of ten seconds of the meeting, from newest,
-- the number of the newest step, backwards.
CREATE TABLE speaking (
  meeting_id TEXT NOT NULL REFERENCES meetings (id),
  user_id    TEXT NOT NULL,
  spoken_at  INTEGER NOT NULL,
  total_ms   INTEGER NOT NULL,
  words      INTEGER NOT NULL,
  newest     INTEGER NOT NULL,
  recent     TEXT NOT NULL,
  PRIMARY KEY (meeting_id, user_id)
) STRICT, WITHOUT ROWID;

-- What those who were in a meeting thought of it, one row each.
CREATE TABLE ratings (
  meeting_id TEXT NOT NULL REFERENCES meetings (id),
  user_id    TEXT NOT NULL REFERENCES users (id),
  rated_at   INTEGER NOT NULL,
  rating     INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
  comment    TEXT NOT NULL,
  PRIMARY KEY (meeting_id, user_id)
) STRICT, WITHOUT ROWID;
-- What one person thought: it is exported and erased with them.
CREATE INDEX ratings_by_user ON ratings (user_id, meeting_id);

-- What was counted in the log of a meeting when it had ended: it is longer than
-- one query may read, and is deleted before the meeting is.
CREATE TABLE meeting_counts (
  meeting_id TEXT PRIMARY KEY REFERENCES meetings (id),
  messages   INTEGER NOT NULL,
  edits      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What somebody who was in a meeting is told about it when it is over; material is a
-- digest of what it was made of, so that the same is not made again; heard is whether
-- something that was said is among it.
CREATE TABLE insights (
  user_id      TEXT NOT NULL REFERENCES users (id),
  meeting_id   TEXT NOT NULL REFERENCES meetings (id),
  id           TEXT NOT NULL UNIQUE,
  created_at   INTEGER NOT NULL,
  generated_by TEXT NOT NULL CHECK (generated_by <> ''),
  helpful      INTEGER CHECK (helpful IN (0, 1)),
  heard        INTEGER NOT NULL CHECK (heard IN (0, 1)),
  material     BLOB NOT NULL,
  PRIMARY KEY (user_id, meeting_id)
) STRICT, WITHOUT ROWID;
-- The list of a person, newest first, and what a meeting leaves.
CREATE INDEX insights_by_user ON insights (user_id, id);
CREATE INDEX insights_by_meeting ON insights (meeting_id, user_id);
CREATE TRIGGER insights_gone AFTER DELETE ON insights
BEGIN
  DELETE FROM insight_lines WHERE user_id = OLD.user_id AND meeting_id = OLD.meeting_id;
  DELETE FROM insight_people WHERE user_id = OLD.user_id AND meeting_id = OLD.meeting_id;
END;

-- What insights say, line by line. One that quotes the chat has no text: message is
-- the message's seq, and the words stand between quote_from and quote_to of its
-- content, in bytes, as long as its position is message_position; so what is edited,
-- deleted, erased or past its time is quoted no more. segment is the id of the segment
-- that a line comes from, or ''.
CREATE TABLE insight_lines (
  user_id          TEXT NOT NULL,
  meeting_id       TEXT NOT NULL,
  part             TEXT NOT NULL CHECK (part IN ('summary', 'topic', 'decision', 'action', 'advice')),
  place            INTEGER NOT NULL,
  owner_id         TEXT,
  due_at           INTEGER,
  confidence       REAL,
  message          INTEGER,
  message_position INTEGER,
  quote_from       INTEGER,
  quote_to         INTEGER,
  segment          TEXT NOT NULL,
  reason           TEXT NOT NULL,
  text             TEXT NOT NULL,
  PRIMARY KEY (user_id, meeting_id, part, place)
) STRICT, WITHOUT ROWID;
-- What was said to be done by one person, who may be erased.
CREATE INDEX insight_lines_by_owner ON insight_lines (owner_id) WHERE owner_id IS NOT NULL;

-- Whom somebody may want to know whom they met. Why is not stored: it is read from what
-- both of them tell about themselves then, if the other still lets it be used.
CREATE TABLE insight_people (
  user_id    TEXT NOT NULL,
  meeting_id TEXT NOT NULL,
  other_id   TEXT NOT NULL,
  place      INTEGER NOT NULL,
  PRIMARY KEY (user_id, meeting_id, other_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX insight_people_by_other ON insight_people (other_id);

-- What people are told, append-only. cause makes a notification the only one of
-- its type that a person gets: the number of the event or of the message, or the
-- instant that the meeting is about to begin at. actor_id is '' when time did it.
CREATE TABLE notifications (
  position   INTEGER PRIMARY KEY,
  user_id    TEXT NOT NULL,
  type       TEXT NOT NULL,
  cause      INTEGER NOT NULL,
  meeting_id TEXT NOT NULL,
  actor_id   TEXT NOT NULL,
  subject    TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notifications_by_user ON notifications (user_id); -- and position, the row's key
CREATE UNIQUE INDEX notifications_by_cause ON notifications (meeting_id, type, cause, user_id);
-- The newest of those of which there is one at a time.
CREATE INDEX notifications_of_chat ON notifications (user_id, meeting_id) WHERE type = 'message.mentioned'; -- and position, the row's key
CREATE TRIGGER notifications_gone AFTER DELETE ON notifications
BEGIN
  INSERT INTO horizons (owner, collection, gone) VALUES (OLD.user_id, 'notifications', OLD.position)
  ON CONFLICT (owner, collection) DO UPDATE SET gone = excluded.gone WHERE excluded.gone > gone;
END;

-- How far people have read what they were told: a row for each, so that reading
-- a hundred is one write.
CREATE TABLE notification_marks (
  user_id    TEXT PRIMARY KEY REFERENCES users (id),
  read_up_to INTEGER NOT NULL CHECK (read_up_to > 0)
) STRICT, WITHOUT ROWID;

-- The ways in which notifications leave, as the server was last started: the others
-- lead nowhere, so that no work is left to be done for them.
CREATE TABLE channels (
  name TEXT PRIMARY KEY CHECK (name IN ('email', 'push', 'sms'))
) STRICT, WITHOUT ROWID;

-- Work to be done later, enqueued in the transaction that causes it. Done jobs
-- are deleted, dead ones stay. asked is the number of the newest enqueueing, by
-- which a running job learns that it was asked for again. A name is unique among
-- the jobs that are not dead: a dead one must not swallow what comes after it.
-- org_id is the organization whose admins may see the row, '' when there is none.
CREATE TABLE jobs (
  id         INTEGER PRIMARY KEY,
  dead       INTEGER NOT NULL DEFAULT 0 CHECK (dead IN (0, 1)),
  org_id     TEXT NOT NULL,
  run_at     INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  name       TEXT,
  asked      INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  last_error TEXT NOT NULL DEFAULT '',
  payload    TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_time ON jobs (dead, run_at, id);
CREATE UNIQUE INDEX jobs_by_name ON jobs (name) WHERE dead = 0;
-- The list of an organization, with what it is filtered by; jobs of none pay nothing.
CREATE INDEX jobs_by_org ON jobs (org_id, id, dead, kind) WHERE org_id <> '';

-- Answers kept for repeated requests. day is the day of the answer, first in
-- the key, so that a day is found at its end and expires as one range.
CREATE TABLE idempotency (
  day        INTEGER NOT NULL,
  key        BLOB NOT NULL CHECK (length(key) = 16),
  request    BLOB NOT NULL CHECK (length(request) = 16),
  created_at INTEGER NOT NULL,
  status     INTEGER NOT NULL,
  header     TEXT NOT NULL,
  body       BLOB NOT NULL,
  PRIMARY KEY (day, key)
) STRICT, WITHOUT ROWID;

-- Who did what, append-only; position tells the order of storing, at the instant
-- of the deed, up to a second earlier. org_id is the organization whose admins may
-- read the row, '' when there is none. They follow it live, so it is watched.
CREATE TABLE audit (
  position INTEGER PRIMARY KEY,
  org_id   TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  action   TEXT NOT NULL,
  at       INTEGER NOT NULL,
  resource TEXT NOT NULL,
  outcome  TEXT NOT NULL CHECK (outcome IN ('allowed', 'refused')),
  session  TEXT NOT NULL,
  request  TEXT NOT NULL,
  address  TEXT NOT NULL,
  agent    TEXT NOT NULL,
  detail   TEXT NOT NULL
) STRICT;
-- The pages of an organization. It holds what they are filtered by, so that a
-- rare actor, action or span of time is looked for in its entries alone, five
-- times quicker than in the rows; an index for each would halve the writes.
CREATE INDEX audit_by_org ON audit (org_id, position, actor_id, action, at);
-- Who touched one thing: too rare among a year's rows to be looked for.
CREATE INDEX audit_by_resource ON audit (org_id, resource); -- and position, the row's key
CREATE TRIGGER audit_gone AFTER DELETE ON audit
WHEN OLD.org_id <> ''
BEGIN
  INSERT INTO horizons (owner, collection, gone) VALUES (OLD.org_id, 'audit', OLD.position)
  ON CONFLICT (owner, collection) DO UPDATE SET gone = excluded.gone WHERE excluded.gone > gone;
END;

-- What the admins of an organization have made of a flag in an environment,
-- append-only: the newest row of a flag is its setting, or says that it is what the
-- program says (is_default). organizations and users are JSON arrays.
CREATE TABLE flag_changes (
  version       INTEGER PRIMARY KEY,
  org_id        TEXT NOT NULL CHECK (org_id <> ''),
  environment   TEXT NOT NULL,
  key           TEXT NOT NULL,
  is_default    INTEGER NOT NULL CHECK (is_default IN (0, 1)),
  enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)),
  percentage    INTEGER NOT NULL CHECK (percentage BETWEEN 0 AND 100),
  changed_at    INTEGER NOT NULL,
  changed_by    TEXT NOT NULL REFERENCES users (id),
  reason        TEXT NOT NULL,
  description   TEXT NOT NULL,
  organizations TEXT NOT NULL,
  users         TEXT NOT NULL
) STRICT;
CREATE INDEX flag_changes_by_flag ON flag_changes (org_id, environment, key); -- and version, the row's key

-- The development identity provider: its signing key, and the people it knows.
CREATE TABLE dev_keys (
  id          TEXT PRIMARY KEY,
  private_key BLOB NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE dev_users (
  email   TEXT PRIMARY KEY,
  subject TEXT NOT NULL UNIQUE,
  name    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
