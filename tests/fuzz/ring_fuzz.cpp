// SPDX-License-Identifier: Apache-2.0
// A command ring of arbitrary bytes, and a daemon that hands over arbitrary commands. Whatever the
// ring holds, nothing outside the mapping may be read, and every walk must end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>

#include "handler/passed_over.h"
#include "handler/ring_cursor.h"
#include "lib/base/assert.h"

namespace {

using namespace ballast::handler;

constexpr std::size_t ring_bytes = 512;
constexpr std::size_t mailbox_bytes = sizeof(abi::tcmu_mailbox);
constexpr unsigned most_items = ring_bytes / sizeof(abi::tcmu_cmd_entry_hdr);

// The input, value by value; zeros once it is used up.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_{bytes} {}
  bool empty() const { return bytes_.empty(); }
  template <class T>
  T take() {
    T value{};
    take(std::as_writable_bytes(std::span{&value, 1}));
    return value;
  }
  void take(std::span<std::byte> to) {
    const std::size_t length = std::min(to.size(), bytes_.size());
    std::memcpy(to.data(), bytes_.data(), length);
    bytes_ = bytes_.subspan(length);
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

// An item stands for an entry, and there are no more than fit.
template <class Next>
void take_all(Next next) {
  unsigned items = 0;
  while (next()) {
    BALLAST_ASSERT(++items <= most_items);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input{{data, size}};
  struct alignas(64) Mapping {
    std::byte bytes[mailbox_bytes + ring_bytes];
  };
  // From the heap, so that a read behind its end is noticed.
  const auto mapping = std::make_unique<Mapping>();
  auto* const mailbox = new (mapping->bytes) abi::tcmu_mailbox{};
  mailbox->cmdr_off = input.take<std::uint8_t>() < 8 ? input.take<std::uint32_t>() : mailbox_bytes;
  mailbox->cmdr_size = input.take<std::uint8_t>() < 8 ? input.take<std::uint32_t>() : ring_bytes;
  mailbox->cmd_tail = input.take<std::uint16_t>() % ring_bytes / 8 * 8;
  const std::span<std::byte> ring = std::span{mapping->bytes}.subspan(mailbox_bytes);
  input.take(ring.first(input.take<std::uint16_t>() % (ring_bytes + 1)));
  RingCursor cursor{mapping->bytes};
  PassedOver passed_over{mapping->bytes};
  while (!input.empty()) {
    mailbox->cmd_head = input.take<std::uint16_t>() % (ring_bytes + 16);
    const auto cmd_id = input.take<std::uint16_t>();
    switch (input.take<std::uint8_t>() % 4) {
      case 0: {
        (void)cursor.arrived(cmd_id);
        const RingCursor::Mark mark = cursor.mark();
        if (passed_over.any_before(mark)) {
          take_all([&] { return passed_over.next_before(cmd_id).has_value(); });
        }
        passed_over.reached(mark);
        break;
      }
      case 1:
        take_all([&] { return passed_over.next_notice().has_value(); });
        (void)passed_over.is_named(cmd_id);
        break;
      case 2: {
        const PassedOver::Rest rest = passed_over.rest(cmd_id % 2 == 0);
        if (rest.from != rest.to && cursor.pass_by(rest.from, rest.to)) {
          take_all([&] { return passed_over.next_of(rest).has_value(); });
        }
        break;
      }
      default:
        input.take(ring.subspan(cmd_id % (ring_bytes - 8) / 8 * 8, 8));
        break;
    }
    (void)cursor.more();
  }
  return 0;
}
