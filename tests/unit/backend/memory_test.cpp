// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/memory.h"

#include "lib/backend/checked.h"
#include "lib/backend/null.h"
#include "tests/unit/backend/lab.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;
using namespace ballast::test;

namespace {

struct Lun {
  explicit Lun(std::unique_ptr<Backend> (*make)(co::Executor&, Bytes, Bytes), Bytes size)
      : backend{make_checked(make(lab.executor(), size, 512_B))} {}
  ~Lun() { lab.run(backend->close()); }

  IoStatus write(Bytes offset, std::size_t length, std::byte value) {
    std::vector<std::byte> bytes(length, value);
    const Flat flat{bytes};
    return lab.run(backend->write(offset, flat.view(), Fua::yes));
  }
  std::byte byte_at(Bytes offset) {
    std::vector<std::byte> bytes(512, std::byte{0xEE});
    const Flat flat{bytes};
    (void)lab.run(backend->read(offset, flat.view()));
    return bytes[0];
  }
  std::string extents(std::size_t limit = 16) {
    std::vector<Extent> found;
    (void)lab.run(backend->block_status(0_B, backend->geometry().size, limit, &found));
    std::string text;
    for (const Extent& extent : found) {
      text += (extent.allocated ? "data " : "hole ") + std::to_string(extent.length.value()) + " ";
    }
    return text;
  }
  Lab lab;
  std::unique_ptr<Backend> backend;
};

void a_fresh_memory_is_one_hole_of_zeros_whatever_its_size(void**) {
  Lun lun{&make_memory, Bytes{std::uint64_t{1} << 50}};
  assert_string_equal(lun.extents().c_str(), "hole 1125899906842624 ");
  assert_int_equal(lun.byte_at(Bytes{(std::uint64_t{1} << 50) - 512}), std::byte{0});
}

void a_write_allocates_only_its_pages(void**) {
  Lun lun{&make_memory, 64_KiB};
  assert_int_equal(lun.write(Bytes{4096 + 512}, 4096, std::byte{1}), IoStatus::ok);
  assert_string_equal(lun.extents().c_str(), "hole 4096 data 8192 hole 53248 ");
  assert_string_equal(lun.extents(2).c_str(), "hole 4096 data 8192 ");
}

void discard_frees_whole_pages_and_zeroes_the_rest(void**) {
  Lun lun{&make_memory, 64_KiB};
  assert_int_equal(lun.write(0_B, 16384, std::byte{1}), IoStatus::ok);
  assert_int_equal(lun.lab.run(lun.backend->discard(512_B, 8_KiB)), IoStatus::ok);
  assert_string_equal(lun.extents().c_str(), "data 4096 hole 4096 data 8192 hole 49152 ");
  assert_int_equal(lun.byte_at(0_B), std::byte{1});
  assert_int_equal(lun.byte_at(512_B), std::byte{0});
  assert_int_equal(lun.byte_at(8192_B), std::byte{0});
  assert_int_equal(lun.byte_at(8704_B), std::byte{1});
}

void zero_without_unmap_keeps_pages(void**) {
  Lun lun{&make_memory, 64_KiB};
  assert_int_equal(lun.lab.run(lun.backend->zero(0_B, 8_KiB, MayUnmap::no)), IoStatus::ok);
  assert_string_equal(lun.extents().c_str(), "data 8192 hole 57344 ");
  assert_int_equal(lun.lab.run(lun.backend->zero(0_B, 8_KiB, MayUnmap::yes)), IoStatus::ok);
  assert_string_equal(lun.extents().c_str(), "hole 65536 ");
}

void what_a_smaller_size_cut_off_is_gone(void**) {
  Lun lun{&make_memory, 64_KiB};
  assert_int_equal(lun.write(0_B, 65536, std::byte{1}), IoStatus::ok);
  assert_int_equal(lun.lab.run(lun.backend->resize(2_KiB)), IoStatus::ok);
  assert_int_equal(lun.lab.run(lun.backend->resize(64_KiB)), IoStatus::ok);
  assert_int_equal(lun.byte_at(0_B), std::byte{1});
  assert_int_equal(lun.byte_at(2048_B), std::byte{0});
}

void null_reads_zeros_and_forgets_writes(void**) {
  Lun lun{&make_null, 64_KiB};
  assert_int_equal(lun.write(0_B, 4096, std::byte{1}), IoStatus::ok);
  assert_int_equal(lun.byte_at(0_B), std::byte{0});
  assert_string_equal(lun.extents().c_str(), "hole 65536 ");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_fresh_memory_is_one_hole_of_zeros_whatever_its_size),
      cmocka_unit_test(a_write_allocates_only_its_pages),
      cmocka_unit_test(discard_frees_whole_pages_and_zeroes_the_rest),
      cmocka_unit_test(zero_without_unmap_keeps_pages),
      cmocka_unit_test(what_a_smaller_size_cut_off_is_gone),
      cmocka_unit_test(null_reads_zeros_and_forgets_writes),
  };
  return cmocka_run_group_tests_name("memory", tests, nullptr, nullptr);
}
