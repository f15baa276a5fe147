// SPDX-License-Identifier: Apache-2.0
// The label of a block device is found whatever was cut off, and whichever size the LUN is opened
// with; and no data is overwritten.
#include "lib/backend/device_label.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::literals;

namespace {

constexpr std::uint64_t page = LabelPage::size;

Label a_label(std::uint64_t owner, bool names_log = true) {
  Label label{.owner = owner, .host = "gate-1", .path = "/fast/vol0.log"};
  label.store.fill(0x5a);
  label.log.fill(names_log ? 0xa5 : 0);
  return label;
}

class MemoryDevice final : public LabelDevice {
 public:
  explicit MemoryDevice(Bytes size) : size_{size} {}

  const std::string& path() const override { return path_; }
  Result<Bytes> size() override { return size_; }
  Result<void> read(std::uint64_t offset, LabelPage* to) override {
    assert_true(offset + page <= size_.value());
    *to = pages_[offset];
    return {};
  }
  Result<void> write(std::uint64_t offset, const LabelPage& from) override {
    assert_true(offset + page <= size_.value());
    assert_true(offset >= data_end_.value());
    if (writes_left == 0) {
      if (tears) {
        std::copy_n(from.bytes.begin(), page / 64, pages_[offset].bytes.begin());
      }
      return Error{EIO, "the power failed"};
    }
    --writes_left;
    ++writes;
    pages_[offset] = from;
    return {};
  }

  void grow(Bytes size) { size_ = size; }
  // Nobody may write before this.
  void has_data_until(Bytes end) { data_end_ = end; }
  void put(Bytes offset, std::byte value) { pages_[offset.value()].bytes.fill(value); }
  bool is(Bytes offset, std::byte value) {
    LabelPage filled;
    filled.bytes.fill(value);
    return pages_[offset.value()].bytes == filled.bytes;
  }
  // Whether something that looks like a label is left in the LUN.
  bool has_label_before(Bytes end) const {
    for (const auto& [offset, its] : pages_) {
      if (offset < end.value() && begins_label(its.bytes)) {
        return true;
      }
    }
    return false;
  }

  int writes_left = 1000;
  bool tears = false;
  int writes = 0;

 private:
  const std::string path_ = "/dev/vg/lv";
  Bytes size_;
  Bytes data_end_{};
  std::map<std::uint64_t, LabelPage> pages_;
};

std::optional<Label> label_of(MemoryDevice& device, LunSizes lun) {
  return read_label(device, lun).value();
}

// A LUN of 1 MiB that grows, and its device, which may have grown before.
struct Growth {
  Bytes device, device_then, lun;
};
constexpr Bytes small_lun = 1_MiB;
const std::array<Growth, 6> growths{{
    {2_MiB, 4_MiB, 3_MiB},                          // the old places come to lie in the LUN
    {2_MiB, 4_MiB, 1_MiB + 4_KiB},                  // by one page
    {4_MiB, 4_MiB, 2_MiB},                          // there is room on the device
    {4_MiB, 4_MiB, 4_MiB - 4_KiB},                  // for one page
    {1_MiB + 4_KiB, 2_MiB, 1_MiB + 4_KiB},          // there was one page
    {1_MiB + 4_KiB, 1_MiB + 8_KiB, 1_MiB + 1_KiB},  // the first page behind is the same
}};

MemoryDevice labelled_device(const Growth& growth) {
  MemoryDevice device{growth.device};
  assert_true(write_label(device, {.now = small_lun, .reach = small_lun}, a_label(3)).ok());
  device.grow(growth.device_then);
  device.has_data_until(small_lun);
  device.writes = 0;
  return device;
}

// Calls `check` with the device as it is after each number of writes, with the next one torn too.
template <class Change, class Check>
void cut_everywhere(const Growth& growth, const Change& change, const Check& check) {
  int steps = 0;
  {
    MemoryDevice device = labelled_device(growth);
    change(device);
    steps = device.writes;
    assert_true(steps > 0);
  }
  for (int cut = 0; cut <= steps; ++cut) {
    for (const bool tears : {false, true}) {
      MemoryDevice device = labelled_device(growth);
      device.writes_left = cut;
      device.tears = tears;
      change(device);
      device.writes_left = 1000;
      check(device);
    }
  }
}

void a_lun_that_grows_has_its_label_wherever_power_fails(void**) {
  for (const Growth& growth : growths) {
    const auto move = [&](MemoryDevice& device) {
      (void)move_label(device, {.now = small_lun, .reach = small_lun}, growth.lun, a_label(3));
    };
    cut_everywhere(growth, move, [&](MemoryDevice& device) {
      for (const Bytes now : {small_lun, growth.lun}) {
        assert_true(label_of(device, {.now = now, .reach = small_lun}) == a_label(3));
      }
      assert_true(label_of(device, {.now = small_lun}) == a_label(3));
    });
  }
}

void a_lun_that_grew_while_closed_has_its_label_wherever_power_fails(void**) {
  for (const Growth& growth : growths) {
    const LunSizes grown{.now = growth.lun, .reach = small_lun};
    const auto settle = [&](MemoryDevice& device) {
      (void)settle_label(device, grown, a_label(3));
    };
    cut_everywhere(growth, settle, [&](MemoryDevice& device) {
      assert_true(label_of(device, {.now = small_lun, .reach = small_lun}) == a_label(3));
      assert_true(label_of(device, grown) == a_label(3));
      // The next opening ends what was cut off.
      assert_true(settle_label(device, grown, a_label(3)).ok());
      const LunSizes recorded{.now = growth.lun, .reach = growth.lun};
      assert_true(label_of(device, recorded) == a_label(3));
      assert_true(has_label_behind_lun(device, recorded).value());
    });
  }
}

void no_label_stays_where_a_lun_has_grown(void**) {
  // An old last page, of a size of the device that nobody knows any more, is not looked for.
  const Growth growth{4_MiB, 4_MiB, 2_MiB};
  for (const bool closed : {false, true}) {
    MemoryDevice device = labelled_device(growth);
    if (closed) {
      const LunSizes grown{.now = growth.lun, .reach = small_lun};
      assert_true(settle_label(device, grown, a_label(3)).ok());
    } else {
      assert_true(
          move_label(device, {.now = small_lun, .reach = small_lun}, growth.lun, a_label(3)).ok());
    }
    assert_false(device.has_label_before(growth.lun));
  }
}

void a_label_outlives_growth_after_growth(void**) {
  MemoryDevice device = labelled_device({2_MiB, 2_MiB, {}});
  Bytes reach = small_lun;
  for (const Bytes size : {4_MiB, 8_MiB, 16_MiB, 32_MiB}) {
    device.grow(size);
    const Bytes lun = size - 4_KiB;
    assert_true(move_label(device, {.now = reach, .reach = reach}, lun, a_label(3)).value());
    reach = lun;
    assert_true(label_of(device, {.now = lun, .reach = reach}) == a_label(3));
    device.grow(size + size);  // and the device alone
    assert_true(label_of(device, {.now = lun, .reach = reach}) == a_label(3));
  }
}

void a_lun_that_was_made_smaller_keeps_what_it_had(void**) {
  MemoryDevice device = labelled_device({4_MiB, 4_MiB, {}});
  device.put(512_KiB, std::byte{7});
  device.has_data_until(small_lun);
  for (const Bytes reach : {small_lun, 0_B}) {
    const LunSizes smaller{.now = 512_KiB, .reach = reach};
    assert_true(label_of(device, smaller) == a_label(3));
    assert_true(settle_label(device, smaller, a_label(3)).ok());
    assert_true(write_label(device, smaller, a_label(4)).ok());
    assert_true(device.is(512_KiB, std::byte{7}));
    assert_true(write_label(device, {.now = small_lun}, a_label(3)).ok());
  }
}

void a_smaller_lun_finds_its_label_on_a_device_that_grew(void**) {
  MemoryDevice device = labelled_device({4_MiB, 8_MiB, {}});
  const LunSizes smaller{.now = 512_KiB, .reach = small_lun};
  assert_true(label_of(device, smaller) == a_label(3));
  // And no older one comes to light afterwards.
  assert_true(write_label(device, smaller, a_label(4, false)).ok());
  device.grow(16_MiB);
  assert_true(label_of(device, smaller) == a_label(4, false));
}

void data_is_no_label_where_the_reach_is_known(void**) {
  MemoryDevice device = labelled_device({4_MiB, 8_MiB, {}});
  const LunSizes grown{.now = 6_MiB, .reach = 6_MiB};
  assert_false(label_of(device, grown).has_value());
}

void a_place_that_was_damaged_is_written_again(void**) {
  const LunSizes lun{.now = small_lun, .reach = small_lun};
  for (const Bytes place : {small_lun, 4_MiB - 4_KiB}) {
    MemoryDevice device = labelled_device({4_MiB, 4_MiB, {}});
    device.put(place, std::byte{0xff});
    assert_true(settle_label(device, lun, a_label(3)).ok());
    assert_false(device.is(place, std::byte{0xff}));
    device.writes = 0;
    assert_true(settle_label(device, lun, a_label(3)).ok());
    assert_int_equal(device.writes, 0);
  }
}

void a_lun_does_not_grow_into_the_room_for_its_label(void**) {
  MemoryDevice device = labelled_device({4_MiB, 4_MiB, {}});
  const LunSizes lun{.now = small_lun, .reach = small_lun};
  for (const Bytes size : {4_MiB, 4_MiB - 1_KiB}) {
    const Result<bool> refused = move_label(device, lun, size, a_label(3));
    assert_int_equal(refused.error().errno_value, ENOSPC);
    assert_int_equal(device.writes, 0);
    const LunSizes grown{.now = size, .reach = small_lun};
    assert_true(label_of(device, grown) == a_label(3));
    assert_int_equal(settle_label(device, grown, a_label(3)).error().errno_value, ENOSPC);
  }
}

void a_label_that_names_no_log_gives_way(void**) {
  MemoryDevice device = labelled_device({4_MiB, 4_MiB, {}});
  const LunSizes lun{.now = small_lun, .reach = small_lun};
  assert_true(write_label(device, lun, a_label(4, false)).ok());
  assert_false(move_label(device, lun, 4_MiB, a_label(4, false)).value());
  assert_false(device.has_label_before(4_MiB));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_lun_that_grows_has_its_label_wherever_power_fails),
      cmocka_unit_test(a_lun_that_grew_while_closed_has_its_label_wherever_power_fails),
      cmocka_unit_test(no_label_stays_where_a_lun_has_grown),
      cmocka_unit_test(a_label_outlives_growth_after_growth),
      cmocka_unit_test(a_lun_that_was_made_smaller_keeps_what_it_had),
      cmocka_unit_test(a_smaller_lun_finds_its_label_on_a_device_that_grew),
      cmocka_unit_test(data_is_no_label_where_the_reach_is_known),
      cmocka_unit_test(a_place_that_was_damaged_is_written_again),
      cmocka_unit_test(a_lun_does_not_grow_into_the_room_for_its_label),
      cmocka_unit_test(a_label_that_names_no_log_gives_way),
  };
  return cmocka_run_group_tests_name("device label", tests, nullptr, nullptr);
}
