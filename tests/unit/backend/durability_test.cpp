// SPDX-License-Identifier: Apache-2.0
// Checks that the file backend asks the kernel to make a durable write, a flush and a new file
// durable. A test without a power cut cannot see that otherwise, so this test watches the calls
// that leave the process.
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "tests/unit/backend/lab.h"
#include "tests/unit/backend/loop_device.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;

namespace {

// What has left us: from whichever thread.
struct Seen {
  std::mutex mutex;
  std::vector<io_uring_sqe> submitted;
  std::set<std::pair<dev_t, ino_t>> synced;
  std::set<int> synced_by;  // descriptors
  bool discards_are_invalid = false;
  std::function<void(io_uring_sqe&)> alter;  // what leaves us
};
Seen& seen() {
  static Seen it;
  return it;
}

template <class Function>
Function real(const char* name) {
  Function function = nullptr;
  void* const symbol = ::dlsym(RTLD_NEXT, name);
  std::memcpy(&function, &symbol, sizeof function);
  BALLAST_ASSERT(function != nullptr);
  return function;
}

}  // namespace

extern "C" {
int io_uring_submit(io_uring* ring) {
  static const auto submit = real<decltype(&io_uring_submit)>("io_uring_submit");
  {
    const std::lock_guard lock{seen().mutex};
    for (unsigned at = ring->sq.sqe_head; at != ring->sq.sqe_tail; ++at) {
      io_uring_sqe& sqe = ring->sq.sqes[at & *ring->sq.kring_mask];
      seen().submitted.push_back(sqe);
      if (seen().alter) {
        seen().alter(sqe);
      }
    }
  }
  return submit(ring);
}
int fsync(int fd) {
  static const auto sync = real<int (*)(int)>("fsync");
  struct stat status {};
  if (::fstat(fd, &status) == 0) {
    const std::lock_guard lock{seen().mutex};
    seen().synced.emplace(status.st_dev, status.st_ino);
    seen().synced_by.insert(fd);
  }
  return sync(fd);
}
int ioctl(int fd, unsigned long request, ...) noexcept {
  static const auto control = real<int (*)(int, unsigned long, void*)>("ioctl");
  std::va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (request == BLKDISCARD && seen().discards_are_invalid) {
    errno = EINVAL;
    return -1;
  }
  return control(fd, request, argument);
}
}

namespace {

// A store thread may still be on its way out of the submission that was answered last.
void forget_submitted() {
  const std::lock_guard lock{seen().mutex};
  seen().submitted.clear();
}

struct Lun {
  Lun(const std::string& path, CacheMode cache)
      : backend{open_now(file_config(path, cache), lab.context(1_MiB, 4_KiB)).value()} {}
  ~Lun() { lab.run(backend->close()); }
  std::size_t submitted(bool (*which)(const io_uring_sqe&)) {
    const std::lock_guard lock{seen().mutex};
    return static_cast<std::size_t>(
        std::count_if(seen().submitted.begin(), seen().submitted.end(), which));
  }
  void write(Fua fua) {
    std::vector<std::byte> bytes(4096);
    const Flat flat{bytes};
    assert_true(ok(lab.run(backend->write(0_B, flat.view(), fua))));
  }
  Lab lab;
  std::unique_ptr<Backend> backend;
};

bool is_write(const io_uring_sqe& sqe) {
  return sqe.opcode == IORING_OP_WRITE || sqe.opcode == IORING_OP_WRITEV ||
         sqe.opcode == IORING_OP_WRITE_FIXED;
}
bool is_durable_write(const io_uring_sqe& sqe) {
  return is_write(sqe) && (static_cast<unsigned>(sqe.rw_flags) & RWF_DSYNC) != 0;
}
bool is_flush(const io_uring_sqe& sqe) {
  return sqe.opcode == IORING_OP_FSYNC;
}

constexpr CacheMode modes[] = {CacheMode::direct, CacheMode::buffered};

void a_durable_write_tells_the_kernel_so(void**) {
  for (const CacheMode cache : modes) {
    const Folder folder;
    Lun lun{folder.file("vol"), cache};
    forget_submitted();
    lun.write(Fua::no);
    assert_int_equal(lun.submitted(is_durable_write), 0);
    lun.write(Fua::yes);
    assert_true(lun.submitted(is_durable_write) > 0);
    assert_int_equal(lun.submitted(is_flush), 0);
  }
}

// Under O_DIRECT, too: the disk has a cache of its own, and the file its metadata.
void a_flush_reaches_the_kernel(void**) {
  for (const CacheMode cache : modes) {
    const Folder folder;
    Lun lun{folder.file("vol"), cache};
    lun.write(Fua::no);
    forget_submitted();
    assert_true(ok(lun.lab.run(lun.backend->flush())));
    assert_int_equal(lun.submitted(is_flush), 1);
  }
}

void set_alter(std::function<void(io_uring_sqe&)> alter) {
  const std::lock_guard lock{seen().mutex};
  seen().alter = std::move(alter);
}

// Makes it a read from `fd`, into memory that nobody looks at.
void read_instead(io_uring_sqe& sqe, int fd, unsigned length) {
  static std::array<std::byte, 4096> nowhere;
  const std::uint64_t user_data = sqe.user_data;
  sqe = {};
  sqe.opcode = IORING_OP_READ;
  sqe.fd = fd;
  sqe.addr = reinterpret_cast<std::uintptr_t>(nowhere.data());
  sqe.len = length;
  sqe.user_data = user_data;
}

// The kernel tells of data that it could not write back once for each open file, and so only to one
// of those that ask at the same time.
void nothing_is_durable_beside_a_flush_of_the_page_cache_that_failed(void**) {
  for (const bool flush : {true, false}) {
    const Folder folder;
    Lun lun{folder.file("vol"), CacheMode::buffered};
    std::array<int, 2> ends{};
    assert_int_equal(::pipe2(ends.data(), O_CLOEXEC), 0);
    std::atomic<bool> waits{false};
    set_alter([&](io_uring_sqe& sqe) {
      if (!waits && (flush ? is_flush(sqe) : is_durable_write(sqe))) {
        read_instead(sqe, ends[0], 4096);
        waits = true;
      } else if (is_flush(sqe)) {
        read_instead(sqe, -1, 1);
      }
    });
    std::vector<std::byte> bytes(4096);
    const Flat flat{bytes};
    std::optional<IoStatus> first;
    co::TaskGroup group{lun.lab.executor()};
    group.spawn("first", Lab::store(lun.lab.executor(),
                                    flush ? lun.backend->flush()
                                          : lun.backend->write(0_B, flat.view(), Fua::yes),
                                    &first));
    while (!waits) {
      lun.lab.step();
    }
    assert_false(ok(lun.lab.run(lun.backend->flush())));
    assert_false(first.has_value());
    // It ends as a flush, or a write of so many bytes, that went well.
    assert_int_equal(::write(ends[1], bytes.data(), flush ? 0 : bytes.size()),
                     flush ? 0 : bytes.size());
    ::close(ends[1]);
    lun.lab.drain(group);
    assert_false(ok(*first));
    ::close(ends[0]);
    set_alter({});
  }
}

bool was_synced(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 &&
         seen().synced.contains({status.st_dev, status.st_ino});
}

void a_new_file_and_its_name_are_made_durable(void**) {
  const Folder folder;
  seen().synced.clear();
  const Lun lun{folder.file("vol"), CacheMode::direct};
  assert_true(was_synced(folder.file("vol")));
  assert_true(was_synced(folder.path()));
}

// The descriptors that lead to a file.
std::set<int> descriptors_of(const std::string& path) {
  std::set<int> found;
  for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    std::error_code gone;
    if (std::filesystem::read_symlink(each.path(), gone) == path) {
      found.insert(std::stoi(each.path().filename()));
    }
  }
  return found;
}

// With the page cache not by way of the LUN's own descriptor: fsync(2) says once for each opening
// that data was lost, and the LUN's next flush must hear it.
void a_larger_size_is_made_durable(void**) {
  for (const CacheMode cache : modes) {
    const Folder folder;
    const std::string path = folder.file("vol");
    Lun lun{path, cache};
    const std::set<int> own = descriptors_of(path);
    assert_int_equal(own.size(), 1);
    seen().synced.clear();
    seen().synced_by.clear();
    assert_true(ok(lun.lab.run(lun.backend->resize(2_MiB))));
    assert_true(was_synced(path));
    assert_int_equal(seen().synced_by.contains(*own.begin()), cache == CacheMode::direct);
  }
}

// As above.
void a_label_is_made_durable(void**) {
  for (const CacheMode cache : {CacheMode::direct, CacheMode::buffered}) {
    const Folder folder;
    const std::string path = folder.file("vol");
    Lun lun{path, cache};
    const std::set<int> own = descriptors_of(path);
    assert_int_equal(own.size(), 1);
    for (const bool names_log : {true, false}) {
      seen().synced.clear();
      seen().synced_by.clear();
      std::optional<Label> label;
      if (names_log) {
        label.emplace();
        label->log.fill(0xa5);
      }
      const Result<void> written = lun.lab.run(lun.backend->write_label(label));
      if (!written && written.error().errno_value == ENOTSUP) {
        skip();
      }
      assert_true(written.ok());
      assert_true(was_synced(path));
      assert_int_equal(seen().synced_by.contains(*own.begin()), cache == CacheMode::direct);
    }
  }
}

void a_label_of_a_device_is_made_durable(void**) {
  const LoopDevice device{4_MiB};
  if (device.path().empty()) {
    skip();
  }
  Lun lun{device.path(), CacheMode::direct};
  seen().synced.clear();
  assert_true(lun.lab.run(lun.backend->write_label(Label{})).ok());
  assert_true(was_synced(device.path()));
}

// A range without a whole block of the device in it: nothing to give back, and no error.
void a_discard_that_the_device_finds_too_small_is_done(void**) {
  const LoopDevice device{1_MiB};
  if (device.path().empty()) {
    skip();
  }
  Lun lun{device.path(), CacheMode::direct};
  seen().discards_are_invalid = true;
  assert_int_equal(lun.lab.run(lun.backend->discard(0_B, 4_KiB)), IoStatus::ok);
  seen().discards_are_invalid = false;
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_durable_write_tells_the_kernel_so),
      cmocka_unit_test(a_flush_reaches_the_kernel),
      cmocka_unit_test(nothing_is_durable_beside_a_flush_of_the_page_cache_that_failed),
      cmocka_unit_test(a_new_file_and_its_name_are_made_durable),
      cmocka_unit_test(a_larger_size_is_made_durable),
      cmocka_unit_test(a_label_is_made_durable),
      cmocka_unit_test(a_label_of_a_device_is_made_durable),
      cmocka_unit_test(a_discard_that_the_device_finds_too_small_is_done),
  };
  return cmocka_run_group_tests_name("durability", tests, nullptr, nullptr);
}
