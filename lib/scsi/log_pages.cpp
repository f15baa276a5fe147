// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/log_pages.h"

#include <algorithm>
#include <array>

#include "lib/base/assert.h"
#include "lib/base/big_endian.h"
#include "lib/scsi/sense.h"
#include "lib/scsi/thresholds.h"

namespace ballast::scsi {

namespace {

enum Page : std::uint8_t {
  supported_pages = 0x00,
  write_errors = 0x02,
  read_errors = 0x03,
  provisioning = 0x0c,
  self_tests = 0x10,
  general_statistics = 0x19,
  informational_exceptions = 0x2f,
};
constexpr std::array<std::uint8_t, 7> pages = {supported_pages,
                                               write_errors,
                                               read_errors,
                                               provisioning,
                                               self_tests,
                                               general_statistics,
                                               informational_exceptions};
constexpr std::uint8_t all_subpages = 0xff;

constexpr std::size_t page_header = 4;
constexpr std::uint8_t disable_save = 0x80;    // DS: the values are not saved
constexpr std::uint8_t subpage_format = 0x40;  // SPF

// TSD (the target saves nothing by itself), and FORMAT AND LINKING.
constexpr std::uint8_t counter = 0x22;
constexpr std::uint8_t binary_list = 0x23;

// The parameters of a page, one behind the other.
class Parameters {
 public:
  Parameters(std::uint16_t first, std::span<std::uint8_t> out) : first_{first}, out_{out} {}

  // Begins a parameter, and returns the room for its value. Nobody sees one below `first`.
  std::span<std::uint8_t> add(std::uint16_t code, std::uint8_t control, std::size_t length) {
    constexpr std::size_t header = 4;
    if (code < first_) {
      return std::span{nobody_}.first(length);
    }
    const std::span<std::uint8_t> at = out_.subspan(length_, header + length);
    put16(at, 0, code);
    at[2] = control;
    at[3] = static_cast<std::uint8_t>(length);
    length_ += at.size();
    return at.subspan(header);
  }
  void add_counter(std::uint16_t code, std::uint64_t value) {
    put64(add(code, counter, 8), 0, value);
  }

  std::size_t length() const { return length_; }

 private:
  std::uint16_t first_;
  std::span<std::uint8_t> out_;
  std::size_t length_ = 0;
  std::array<std::uint8_t, longest_log_page> nobody_{};
};

// SPC-5, 7.3.8: total bytes processed, total uncorrected errors.
void put_errors(Parameters& parameters, Bytes processed, std::uint64_t uncorrected) {
  parameters.add_counter(0x0005, processed.value());
  parameters.add_counter(0x0006, uncorrected);
}

// SBC-4, 6.4.5: the resources that are available and those that are used, in threshold sets.
void put_provisioning(Parameters& parameters, const backend::Room& room) {
  constexpr std::uint8_t dedicated = 0x01;  // the scope of a resource: of this LUN alone
  constexpr std::uint8_t shared = 0x02;
  const auto put = [&](std::uint16_t code, Bytes bytes, std::uint8_t scope) {
    const std::span<std::uint8_t> value = parameters.add(code, binary_list, 8);
    put32(value, 0, sets_in(bytes));
    value[4] = scope;
  };
  put(0x0001, room.free, shared);
  put(0x0002, room.used, dedicated);
}

// SPC-5, 7.3.18: of the last tests that a SELF-TEST CODE has begun. Nobody can begin one.
void put_self_tests(Parameters& parameters) {
  constexpr std::uint16_t most_results = 20;
  constexpr std::size_t length = 16;
  for (std::uint16_t result = 1; result <= most_results; ++result) {
    (void)parameters.add(result, binary_list, length);
  }
}

// SPC-5, 7.3.10. The intervals are microseconds.
void put_statistics(Parameters& parameters, const Statistics& done, Bytes logical_block) {
  const auto microseconds = [](Nanoseconds time) {
    return static_cast<std::uint64_t>(time.count()) / 1000;
  };
  const std::span<std::uint8_t> counters = parameters.add(0x0001, binary_list, 64);
  put64(counters, 0, done.reads);
  put64(counters, 8, done.writes);
  put64(counters, 16, done.written.value() / logical_block.value());  // received
  put64(counters, 24, done.read.value() / logical_block.value());     // transmitted
  put64(counters, 32, microseconds(done.read_time));
  put64(counters, 40, microseconds(done.write_time));
  put64(parameters.add(0x0002, binary_list, 8), 0, microseconds(done.idle_time));
  const std::span<std::uint8_t> interval = parameters.add(0x0003, binary_list, 8);
  put32(interval, 0, 6);  // a unit of 10 to the power of -6 s
  put32(interval, 4, 1);
}

// SPC-5, 7.3.12.
void put_exceptions(Parameters& parameters, bool stalled) {
  constexpr std::uint8_t temperature_not_known = 0xff;
  const AdditionalSense what = stalled ? asc::warning : asc::no_additional_sense;
  const std::span<std::uint8_t> general = parameters.add(0x0000, binary_list, 4);
  general[0] = what.code;
  general[1] = what.qualifier;
  general[2] = temperature_not_known;
}

// The pages, each with its subpage if `with_subpages`. Returns the length.
std::size_t put_pages(std::span<std::uint8_t> out, bool with_subpages, bool tells_room) {
  std::size_t length = 0;
  for (const std::uint8_t page : pages) {
    if (!has_log_page(page, 0, tells_room)) {
      continue;
    }
    out[length++] = page;
    length += with_subpages ? 1 : 0;
    if (with_subpages && page == supported_pages) {
      out[length++] = supported_pages;
      out[length++] = all_subpages;
    }
  }
  return length;
}

}  // namespace

bool has_log_page(std::uint8_t page, std::uint8_t subpage, bool tells_room) {
  if (subpage != 0) {
    return page == supported_pages && subpage == all_subpages;
  }
  if (page == provisioning) {
    return tells_room;
  }
  return std::find(pages.begin(), pages.end(), page) != pages.end();
}

std::optional<std::size_t> put_log_page(std::uint8_t page, std::uint8_t subpage,
                                        std::uint16_t first, const Statistics& statistics,
                                        Bytes logical_block, std::span<std::uint8_t> out) {
  BALLAST_ASSERT(out.size() >= longest_log_page);
  const std::span<std::uint8_t> body = out.subspan(page_header);
  Parameters parameters{first, body};
  std::size_t length = 0;
  switch (page) {
    case supported_pages:
      length = first == 0 ? put_pages(body, subpage == all_subpages, statistics.tells_room) : 0;
      break;
    case write_errors:
      put_errors(parameters, statistics.written, statistics.write_errors);
      break;
    case read_errors:
      put_errors(parameters, statistics.read, statistics.read_errors);
      break;
    case provisioning:
      if (statistics.room.has_value()) {
        put_provisioning(parameters, *statistics.room);
      }
      break;
    case self_tests:
      put_self_tests(parameters);
      break;
    case general_statistics:
      put_statistics(parameters, statistics, logical_block);
      break;
    case informational_exceptions:
      put_exceptions(parameters, statistics.stalled);
      break;
    default:
      BALLAST_ASSERT(false);
  }
  length += parameters.length();
  if (length == 0 && first != 0) {
    return std::nullopt;
  }
  out[0] = static_cast<std::uint8_t>(page | (page == supported_pages ? 0 : disable_save) |
                                     (subpage != 0 ? subpage_format : 0));
  out[1] = subpage;
  put16(out, 2, length);
  return page_header + length;
}

}  // namespace ballast::scsi
