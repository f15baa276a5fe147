// SPDX-License-Identifier: Apache-2.0
// Reads what device-mapper's log-writes target recorded of a device: the states that a power
// failure could have left it in, one after each flush.
//
//   replay-writes points RECORD
//   replay-writes points RECORD-OF-LOG RECORD-OF-STORE
//   replay-writes apply RECORD FROM TO FILE
//
// Each record has marks whose texts are numbers, which count from 1. A mark is set when all before
// was answered.
//
// "points" of one record prints lines of two numbers: so many entries make a state, and the last
// mark before it. The first line of a mark is its own state: what was durable then, and no more.
//
// Of two records, those of a write log and its store, the marks of a number are set when all before
// was flushed, too, first in the record of the log. "points" prints lines of three numbers: so many
// entries of the one record and so many of the other make a state that both devices may have had,
// or one that is as hard; and the last mark before it. The store is as old as the log or newer:
// whatever the log does not have any more, or not yet, it has written to the store before or will
// write again. Both numbers never decrease. "apply" does to FILE what the entries FROM to before TO
// did to the device.
//
// The format is in Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/
// dm-log-writes.c: sector 0 has magic, version, number of entries (64 bits each) and bytes of a
// sector (32 bits). Behind it stands one entry after the other: a sector with the place, the
// length, flags and the bytes of a mark (64 bits each), and in it the mark's text; then, unless it
// is a discard, the data. Places and lengths count in sectors. All is little endian.
//
// Exit: 0, or 2 with a message on standard output.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr std::uint64_t kMagic = 0x6a736677736872;
constexpr std::uint64_t kFlush = 1;
constexpr std::uint64_t kFua = 2;
constexpr std::uint64_t kDiscard = 4;
constexpr std::uint64_t kMark = 8;

[[noreturn]] void cannot(const std::string& what) {
  std::printf("cannot read: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

struct Entry {
  std::uint64_t place = 0;   // bytes, on the device
  std::uint64_t length = 0;  // bytes
  std::uint64_t flags = 0;
  std::uint64_t mark = 0;
  std::uint64_t data = 0;  // where its data is in the record
};

struct Record {
  int file = -1;
  std::vector<Entry> entries;
};

template <class T>
T read_at(int file, std::uint64_t offset) {
  T value{};
  if (::pread(file, &value, sizeof value, static_cast<off_t>(offset)) != sizeof value)
    cannot("an entry");
  return value;
}

Record read_record(const char* path) {
  Record record;
  record.file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (record.file < 0)
    cannot(path);
  struct Head {
    std::uint64_t magic, version, entries;
    std::uint32_t sector, unused;
  };
  const auto head = read_at<Head>(record.file, 0);
  if (head.magic != kMagic || head.version != 1 || head.sector < 512) {
    std::printf("cannot read: %s is no record of log-writes\n", path);
    std::exit(2);
  }
  std::uint64_t at = head.sector;
  for (std::uint64_t i = 0; i < head.entries; ++i) {
    struct Words {
      std::uint64_t sector, sectors, flags, mark_bytes;
    };
    const auto words = read_at<Words>(record.file, at);
    Entry entry{.place = words.sector * head.sector,
                .length = words.sectors * head.sector,
                .flags = words.flags,
                .mark = 0,
                .data = at + head.sector};
    if ((words.flags & kMark) != 0) {
      char text[64]{};
      if (::pread(record.file, text, sizeof text - 1, static_cast<off_t>(at + sizeof words)) < 0)
        cannot("a mark");
      entry.mark = std::strtoull(text, nullptr, 10);
    }
    at = entry.data + ((words.flags & kDiscard) != 0 ? 0 : entry.length);
    record.entries.push_back(entry);
  }
  return record;
}

// By the last mark before: the numbers of entries up to each flush, and to the next mark.
std::vector<std::vector<std::size_t>> states(const Record& record) {
  std::vector<std::vector<std::size_t>> by_mark(1);
  for (std::size_t i = 0; i < record.entries.size(); ++i) {
    const Entry& entry = record.entries[i];
    const bool next = (entry.flags & kMark) != 0 && entry.mark == by_mark.size();
    if (next || (entry.flags & (kFlush | kFua)) != 0)
      by_mark.back().push_back(i + 1);
    if (next)
      by_mark.emplace_back();
  }
  return by_mark;  // the last one ends with no mark
}

int points(const char* path) {
  const auto device = states(read_record(path));
  for (std::size_t mark = 0; mark < device.size(); ++mark) {
    if (mark > 0)
      std::printf("%zu %zu\n", device[mark - 1].back(), mark);
    for (const std::size_t entries : device[mark])
      if (mark + 1 == device.size() || entries != device[mark].back())  // the last is the next mark
        std::printf("%zu %zu\n", entries, mark);
  }
  return 0;
}

int points(const char* log_path, const char* store_path) {
  const auto log = states(read_record(log_path));
  const auto store = states(read_record(store_path));
  for (std::size_t mark = 0; mark + 1 < log.size() && mark + 1 < store.size(); ++mark) {
    if (mark > 0)  // the log as it was at the mark, the store at each of its flushes since
      for (const std::size_t entries : store[mark])
        std::printf("%zu %zu %zu\n", log[mark - 1].back(), entries, mark);
    for (const std::size_t entries : log[mark])  // the last is the next mark itself
      std::printf("%zu %zu %zu\n", entries, store[mark].back(),
                  entries == log[mark].back() ? mark + 1 : mark);
  }
  return 0;
}

void apply_one(const Record& record, const Entry& entry, int file) {
  if ((entry.flags & kMark) != 0 || entry.length == 0)
    return;
  const auto place = static_cast<off_t>(entry.place);
  if ((entry.flags & kDiscard) != 0) {
    if (::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place,
                    static_cast<off_t>(entry.length)) != 0)
      cannot("discard");
    return;
  }
  std::vector<char> data(entry.length);
  const auto length = static_cast<ssize_t>(entry.length);
  if (::pread(record.file, data.data(), data.size(), static_cast<off_t>(entry.data)) != length ||
      ::pwrite(file, data.data(), data.size(), place) != length)
    cannot("the data of an entry");
}

int apply(const char* path, std::size_t from, std::size_t to, const char* target) {
  const Record record = read_record(path);
  const int file = ::open(target, O_WRONLY | O_CLOEXEC);
  if (file < 0)
    cannot(target);
  if (to > record.entries.size()) {
    std::printf("cannot read: %s has %zu entries\n", path, record.entries.size());
    return 2;
  }
  for (std::size_t i = from; i < to; ++i)
    apply_one(record, record.entries[i], file);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string verb = count > 1 ? words[1] : "";
  if (verb == "points" && count == 3)
    return points(words[2]);
  if (verb == "points" && count == 4)
    return points(words[2], words[3]);
  if (verb == "apply" && count == 6)
    return apply(words[2], std::strtoull(words[3], nullptr, 10),
                 std::strtoull(words[4], nullptr, 10), words[5]);
  std::printf("usage: replay-writes points RECORD [RECORD] | apply RECORD FROM TO FILE\n");
  return 2;
}
