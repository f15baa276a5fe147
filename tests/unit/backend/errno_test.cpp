// SPDX-License-Identifier: Apache-2.0
// Whatever errno the kernel answers, an operation ends with a status that the contract allows.
//
// The test puts a stub below the file backend. It overwrites the results of the kernel where
// liburing hands them over, and replaces the system calls of the helper thread.
#include "lib/backend/op_status.h"

#include <dlfcn.h>
#include <liburing.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;

namespace {

constexpr int most_errno = 133;

std::atomic<int> failing{0};  // this errno value; 0: nothing fails

template <class Function>
Function real(const char* name) {
  Function function = nullptr;
  void* const symbol = ::dlsym(RTLD_NEXT, name);
  std::memcpy(&function, &symbol, sizeof function);
  BALLAST_ASSERT(function != nullptr);
  return function;
}

bool fails() {
  errno = failing;
  return failing != 0;
}

}  // namespace

extern "C" {
unsigned io_uring_peek_batch_cqe(io_uring* ring, io_uring_cqe** cqes, unsigned count) {
  static const auto peek = real<decltype(&io_uring_peek_batch_cqe)>("io_uring_peek_batch_cqe");
  const unsigned got = peek(ring, cqes, count);
  for (unsigned i = 0; i < got && failing != 0; ++i) {
    cqes[i]->res = -failing;
  }
  return got;
}
off_t lseek(int fd, off_t offset, int whence) noexcept {
  static const auto seek = real<off_t (*)(int, off_t, int)>("lseek");
  return fails() ? -1 : seek(fd, offset, whence);
}
int ftruncate(int fd, off_t length) noexcept {
  static const auto truncate = real<int (*)(int, off_t)>("ftruncate");
  return fails() ? -1 : truncate(fd, length);
}
}

namespace {

constexpr OpKind kinds[] = {OpKind::read,  OpKind::write,        OpKind::zero,  OpKind::discard,
                            OpKind::flush, OpKind::block_status, OpKind::resize};

void every_errno_means_something_that_the_operation_may_end_with(void**) {
  for (const OpKind kind : kinds) {
    for (int value = -1; value <= 4096; ++value) {
      const IoStatus status = status_from_errno(kind, value);
      assert_true(may_end_with(kind, status));
      assert_int_equal(ok(status), value == 0);
    }
  }
}

void what_makes_no_sense_for_an_operation_is_a_medium_error(void**) {
  for (const int value : {EPERM, EROFS, ENOSPC, ENOSYS}) {
    assert_int_equal(status_from_errno(OpKind::read, value), IoStatus::medium_error);
  }
  assert_int_equal(status_from_errno(OpKind::write, ENOSYS), IoStatus::medium_error);
  assert_int_equal(status_from_errno(OpKind::flush, EROFS), IoStatus::medium_error);
  assert_int_equal(status_from_errno(OpKind::write, ENOSPC), IoStatus::no_space);
  assert_int_equal(status_from_errno(OpKind::zero, EOPNOTSUPP), IoStatus::not_supported);
}

void a_change_that_was_interrupted_does_not_count_as_not_done(void**) {
  for (const OpKind kind : {OpKind::write, OpKind::zero, OpKind::discard}) {
    assert_int_equal(status_from_errno(kind, EINTR), IoStatus::medium_error);
    assert_int_equal(status_from_errno(kind, ECANCELED), IoStatus::cancelled);
  }
}

// All operations of a file under one errno value. open() has put `checked` around it, which aborts
// at a status that the operation may not have.
void fail_all(Lab& lab, Backend& file, int value) {
  std::vector<std::byte> bytes(4096);
  const Flat flat{bytes};
  std::vector<Extent> extents;
  failing = value;
  assert_false(ok(lab.run(file.read(0_B, flat.view()))));
  assert_false(ok(lab.run(file.write(0_B, flat.view(), Fua::no))));
  assert_false(ok(lab.run(file.write(0_B, flat.view(), Fua::yes))));
  assert_false(ok(lab.run(file.zero(0_B, 4_KiB, MayUnmap::no))));
  assert_false(ok(lab.run(file.zero(0_B, 4_KiB, MayUnmap::yes))));
  assert_false(ok(lab.run(file.discard(0_B, 4_KiB))));
  assert_false(ok(lab.run(file.flush())));
  // ENXIO is how lseek says that there is no more data.
  assert_int_equal(ok(lab.run(file.block_status(0_B, 4_KiB, 4, &extents))), value == ENXIO);
  assert_false(ok(lab.run(file.resize(2_MiB))));
  failing = 0;
}

void no_errno_of_the_kernel_ends_the_daemon(void**) {
  for (const CacheMode cache : {CacheMode::direct, CacheMode::buffered}) {
    for (int value = 1; value <= most_errno; ++value) {
      // A new one each time: some things are asked of the kernel once.
      const Folder folder;
      Lab lab;
      const std::unique_ptr<Backend> file =
          open_now(file_config(folder.file("vol"), cache), lab.context(1_MiB, 4_KiB)).value();
      fail_all(lab, *file, value);
      lab.run(file->close());
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(every_errno_means_something_that_the_operation_may_end_with),
      cmocka_unit_test(what_makes_no_sense_for_an_operation_is_a_medium_error),
      cmocka_unit_test(a_change_that_was_interrupted_does_not_count_as_not_done),
      cmocka_unit_test(no_errno_of_the_kernel_ends_the_daemon),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
