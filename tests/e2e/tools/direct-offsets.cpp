// SPDX-License-Identifier: Apache-2.0
// Does direct I/O on a disk with user buffers that start at every 512-byte offset of a page, and
// compares with the file behind the disk.
//
//   direct-offsets read|write DEVICE FILE OFFSET LENGTH
//
// OFFSET and LENGTH are bytes, multiples of the disk's block. Each of the eight buffer offsets is
// tried in three shapes: one segment, segments of one block, segments of mixed lengths. The
// segments of the last two shapes are in separate pages, each at an offset of its own. So a layer
// that takes a segment for a whole page returns the wrong bytes, and this program names the block
// that it returned instead. "read" compares the disk's data with FILE. "write" writes a pattern
// that no other round uses and looks for it in FILE. Bytes around each segment are guarded.
//
// Exit: 0 all equal; 1 a difference, printed on standard output; 2 the test could not be made.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kStep = 512;
constexpr std::uint8_t kGuard = 0xa5;
// IOV_MAX of Linux.
constexpr std::size_t kMaxSegments = 1024;

[[noreturn]] void cannot(const std::string& what) {
  std::printf("cannot try: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// Scattered memory for one transfer, guard bytes everywhere else.
class Buffer {
 public:
  Buffer(std::size_t misalignment, const std::vector<std::size_t>& lengths) {
    std::size_t total = kPage;
    for (const std::size_t length : lengths)
      total += spacing(length);
    size_ = total;
    memory_.reset(static_cast<std::uint8_t*>(std::aligned_alloc(kPage, total)));
    if (!memory_)
      cannot("allocate " + std::to_string(total) + " bytes");
    std::memset(memory_.get(), kGuard, total);
    std::size_t at = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const std::size_t shift = (misalignment + i * kStep) % kPage;
      segments_.push_back({memory_.get() + at + shift, lengths[i]});
      at += spacing(lengths[i]);
    }
  }

  const std::vector<iovec>& segments() const { return segments_; }

  void fill(const std::vector<std::uint8_t>& from) {
    std::size_t at = 0;
    for (const iovec& segment : segments_) {
      std::memcpy(segment.iov_base, from.data() + at, segment.iov_len);
      at += segment.iov_len;
    }
  }

  std::vector<std::uint8_t> gather() const {
    std::vector<std::uint8_t> all;
    for (const iovec& segment : segments_) {
      const auto* begin = static_cast<const std::uint8_t*>(segment.iov_base);
      all.insert(all.end(), begin, begin + segment.iov_len);
    }
    return all;
  }

  bool guards_intact() {
    for (const iovec& segment : segments_) {
      std::memset(segment.iov_base, kGuard, segment.iov_len);
    }
    return std::all_of(memory_.get(), memory_.get() + size_,
                       [](std::uint8_t byte) { return byte == kGuard; });
  }

 private:
  static std::size_t spacing(std::size_t length) {
    return (length + 2 * kPage - 1) / kPage * kPage + kPage;
  }
  std::unique_ptr<std::uint8_t, Free> memory_;
  std::size_t size_ = 0;
  std::vector<iovec> segments_;
};

std::vector<std::size_t> one_segment(std::size_t length, std::size_t) {
  return {length};
}

std::vector<std::size_t> single_blocks(std::size_t length, std::size_t block) {
  return std::vector<std::size_t>(length / block, block);
}

std::vector<std::size_t> mixed(std::size_t length, std::size_t block) {
  std::vector<std::size_t> lengths;
  const std::size_t sizes[] = {1, 7, 2, 1, 8, 3, 17, 1, 5};
  for (std::size_t i = 0; length > 0; ++i) {
    const std::size_t next = std::min(length, sizes[i % std::size(sizes)] * block);
    lengths.push_back(next);
    length -= next;
  }
  return lengths;
}

struct Shape {
  const char* name;
  std::vector<std::size_t> (*lengths)(std::size_t length, std::size_t block);
};
constexpr Shape kShapes[] = {{"one segment", one_segment},
                             {"segments of one block", single_blocks},
                             {"segments of mixed lengths", mixed}};

struct Job {
  int device;
  int file;
  bool writing;
  off_t offset;
  std::size_t length;
  std::size_t block;
};

std::vector<std::uint8_t> file_bytes(const Job& job) {
  std::vector<std::uint8_t> bytes(job.length);
  const ssize_t n = pread(job.file, bytes.data(), job.length, job.offset);
  if (n < 0)
    cannot("read the file");
  // A sparse file may be shorter than its disk: the rest is zeros.
  return bytes;
}

// Splitmix: different for each round and each eight bytes.
std::vector<std::uint8_t> pattern(std::size_t length, std::uint64_t round) {
  std::vector<std::uint8_t> bytes(length);
  std::uint64_t state = round * 0x9e3779b97f4a7c15U;
  for (std::size_t i = 0; i < length; i += 8) {
    state += 0x9e3779b97f4a7c15U;
    std::uint64_t z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    std::memcpy(&bytes[i], &z, 8);
  }
  return bytes;
}

// The transfer in pieces that one system call takes.
void transfer(const Job& job, const std::vector<iovec>& segments) {
  off_t at = job.offset;
  for (std::size_t i = 0; i < segments.size(); i += kMaxSegments) {
    const int count = static_cast<int>(std::min(kMaxSegments, segments.size() - i));
    ssize_t want = 0;
    for (int k = 0; k < count; ++k) {
      want += static_cast<ssize_t>(segments[i + static_cast<std::size_t>(k)].iov_len);
    }
    const ssize_t n = job.writing ? pwritev(job.device, &segments[i], count, at)
                                  : preadv(job.device, &segments[i], count, at);
    if (n < 0)
      cannot(job.writing ? "pwritev on the disk" : "preadv on the disk");
    if (n != want) {
      std::printf("short transfer at %lld: %zd of %zd bytes\n", static_cast<long long>(at), n,
                  want);
      std::exit(1);
    }
    at += want;
  }
}

// Tells where they differ and whose bytes stand there. True if equal.
bool compare(const Job& job, const std::vector<std::uint8_t>& got,
             const std::vector<std::uint8_t>& want, const std::string& round) {
  const std::size_t blocks = job.length / job.block;
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::uint8_t* mine = &got[i * job.block];
    if (std::memcmp(mine, &want[i * job.block], job.block) == 0)
      continue;
    const auto first = static_cast<std::size_t>(job.offset) / job.block;
    std::printf("%s: LBA %zu is wrong", round.c_str(), first + i);
    for (std::size_t k = 0; k < blocks; ++k) {
      if (std::memcmp(mine, &want[k * job.block], job.block) == 0) {
        std::printf(": it holds the bytes of LBA %zu", first + k);
        break;
      }
    }
    std::printf("\n");
    return false;
  }
  return true;
}

bool run_round(const Job& job, std::size_t misalignment, std::size_t shape_index) {
  const Shape& shape = kShapes[shape_index];
  const std::string round = std::string(job.writing ? "write" : "read") + ", buffer offset " +
                            std::to_string(misalignment) + ", " + shape.name;
  Buffer buffer(misalignment, shape.lengths(job.length, job.block));
  std::vector<std::uint8_t> got;
  std::vector<std::uint8_t> want;
  if (job.writing) {
    want = pattern(job.length, misalignment * 8 + shape_index + 1);
    buffer.fill(want);
    transfer(job, buffer.segments());
    got = file_bytes(job);
  } else {
    transfer(job, buffer.segments());
    got = buffer.gather();
    want = file_bytes(job);
  }
  const bool equal = compare(job, got, want, round);
  const bool guarded = buffer.guards_intact();
  if (!guarded)
    std::printf("%s: bytes outside of the segments changed\n", round.c_str());
  return equal && guarded;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 || (std::strcmp(argv[1], "read") != 0 && std::strcmp(argv[1], "write") != 0)) {
    std::fprintf(stderr, "usage: direct-offsets read|write DEVICE FILE OFFSET LENGTH\n");
    return 2;
  }
  Job job{};
  job.writing = argv[1][0] == 'w';
  job.device = open(argv[2], (job.writing ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
  if (job.device < 0)
    cannot(std::string("open ") + argv[2]);
  job.file = open(argv[3], O_RDONLY | O_CLOEXEC);
  if (job.file < 0)
    cannot(std::string("open ") + argv[3]);
  int block = 0;
  if (ioctl(job.device, BLKSSZGET, &block) != 0)
    cannot(std::string("BLKSSZGET on ") + argv[2]);
  job.block = static_cast<std::size_t>(block);
  job.offset = std::strtoll(argv[4], nullptr, 0);
  job.length = std::strtoull(argv[5], nullptr, 0);
  if (job.length == 0 || job.length % job.block != 0 ||
      static_cast<std::size_t>(job.offset) % job.block != 0) {
    std::printf("cannot try: offset and length must be multiples of %d\n", block);
    return 2;
  }
  int bad = 0;
  for (std::size_t misalignment = 0; misalignment < kPage; misalignment += kStep) {
    for (std::size_t shape = 0; shape < std::size(kShapes); ++shape) {
      if (!run_round(job, misalignment, shape))
        ++bad;
    }
  }
  std::printf("%d of %zu rounds wrong\n", bad, kPage / kStep * std::size(kShapes));
  return bad == 0 ? 0 : 1;
}
