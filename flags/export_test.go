package flags

// Bucket is bucket, for the tests of its fairness.
var Bucket = bucket
