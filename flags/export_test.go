package flags

// Bucket and Allows are what percentages rest on, for the tests of their fairness.
var (
	Bucket = bucket
	Allows = Setting.allows
)
