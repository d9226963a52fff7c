package profiles

import (
	"encoding/json"

	"connvo/db"
)

const selectProfile = `
SELECT coalesce(age, 0), gender, time_zone, updated_at, field, job_title, company, linkedin_url,
  languages, skills, experience, goals, bio
FROM profiles
WHERE user_id = ?1
-- scope: profiles.user_id=?1`

const selectConnected = `
SELECT 1
FROM connections
WHERE user_id = ?1 AND other_id = ?2 AND status = 'accepted'
-- scope: connections.user_id=?1`

const upsertProfile = `
INSERT INTO profiles (user_id, age, gender, time_zone, updated_at, field, job_title, company, linkedin_url,
  languages, skills, experience, goals, bio)
VALUES (?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id) DO UPDATE
SET age = excluded.age, gender = excluded.gender, time_zone = excluded.time_zone, updated_at = excluded.updated_at,
  field = excluded.field, job_title = excluded.job_title, company = excluded.company, linkedin_url = excluded.linkedin_url,
  languages = excluded.languages, skills = excluded.skills, experience = excluded.experience, goals = excluded.goals,
  bio = excluded.bio`

const insertOnboarding = `
INSERT INTO onboardings (user_id, completed_at)
VALUES (?, ?)
ON CONFLICT (user_id) DO NOTHING`

func scanProfile(r db.Row) (p Profile, err error) {
	var updated int64
	var languages, skills string
	err = r.Scan(&p.Age, &p.Gender, &p.TimeZone, &updated, &p.Field, &p.JobTitle, &p.Company, &p.LinkedinURL,
		&languages, &skills, &p.Experience, &p.Goals, &p.Bio)
	if err != nil {
		return p, err
	}
	p.UpdatedAt = db.Instant(&updated)
	if err := json.Unmarshal([]byte(languages), &p.Languages); err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(skills), &p.Skills)
}

// encode returns a JSON array.
func encode(list []string) string {
	b, _ := json.Marshal(list) // strings always encode
	return string(b)
}
