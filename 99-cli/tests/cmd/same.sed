# What differs from one run to the next, and what is printed instead.
s/\b([a-z]{3,4})_[0-9a-z]{26}\b/\1_[ID]/g
s/\bact_[0-9a-z]{16}\b/act_[ID]/g
s/: "?[0-9a-f]{64}"?$/: [DIGEST]/
s/\b[0-9a-f]{64}\b/[DIGEST]/g
s/^(plan +|.*; bundle )[0-9a-f]{12}$/\1[DIGEST]/
s/^trace_id: "?[0-9a-f]{32}"?/trace_id: [ID]/
s/^[0-9a-f]{16}\t/[ID]\t/
s/(writ\.local[/_])[0-9a-f]{16}(-[0-9a-f]{16})?/\1[ORIGIN]/g
s/\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+/+[KEY]/
s/\b[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/[TIME]/g
s/\b[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}/[TIME]/g
s/^ +[0-9]+(  \[TIME\])/  [SEQ]\1/
s/^[0-9]+(\t\[TIME\])/[SEQ]\1/
s/^as_of: [0-9]+/as_of: [SEQ]/
s/  size [0-9]+  /  size [SEQ]  /
s/[0-9]+ (checkpoints|attachments)/[N] \1/g
s/127\.0\.0\.1:[0-9]{2,}/127.0.0.1:[PORT]/g
/^step   (ready|ticketed|running) /d
