// SPDX-License-Identifier: Apache-2.0
// One test for all backends: random operations side by side, compared with a flat array.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string_view>

#include "tests/unit/backend/lab.h"
#include "tests/unit/backend/loop_device.h"

#include "lib/backend/file_open.h"
#include "tests/cmocka.h"
#include "tests/nbd/server.h"

using namespace ballast;
using namespace ballast::backend;
using namespace ballast::test;

namespace {

constexpr std::size_t slots = 8;
constexpr std::size_t slot_size = std::size_t{192} << 10;
constexpr Bytes size{slots * slot_size};

using Random = std::mt19937_64;
using Image = std::vector<std::byte>;

// One operation on one slot, what it is to do, and what became of it.
struct Step {
  enum class Kind { read, write, durable_write, zero, zero_unmap, discard, flush, status };
  Kind kind = Kind::read;
  Bytes offset;
  Bytes length;
  std::unique_ptr<RandomList> list;
  std::vector<Extent> extents;
  IoStatus result = IoStatus::ok;
};

co::Task<void> perform(Backend* backend, Step* step) {
  switch (step->kind) {
    case Step::Kind::read:
      step->result = co_await backend->read(step->offset, step->list->view());
      break;
    case Step::Kind::write:
      step->result = co_await backend->write(step->offset, step->list->view(), Fua::no);
      break;
    case Step::Kind::durable_write:
      step->result = co_await backend->write(step->offset, step->list->view(), Fua::yes);
      break;
    case Step::Kind::zero:
      step->result = co_await backend->zero(step->offset, step->length, MayUnmap::no);
      break;
    case Step::Kind::zero_unmap:
      step->result = co_await backend->zero(step->offset, step->length, MayUnmap::yes);
      break;
    case Step::Kind::discard:
      step->result = co_await backend->discard(step->offset, step->length);
      break;
    case Step::Kind::flush:
      step->result = co_await backend->flush();
      break;
    case Step::Kind::status:
      step->result = co_await backend->block_status(step->offset, step->length, 64, &step->extents);
      break;
  }
}

Step draw(std::size_t slot, std::size_t block, const Capabilities& can, Random& random) {
  Step step;
  step.kind = static_cast<Step::Kind>(random() % 8);
  if (step.kind == Step::Kind::discard && !can.discard_zeroes) {
    step.kind = Step::Kind::write;
  }
  const std::size_t blocks = slot_size / block;
  const std::size_t first = random() % blocks;
  const std::size_t count =
      1 +
      random() % (random() % 4 == 0 ? blocks - first : std::min(blocks - first, std::size_t{40}));
  step.offset = Bytes{slot * slot_size + first * block};
  step.length = Bytes{count * block};
  if (step.kind <= Step::Kind::durable_write) {
    const std::size_t unit = random() % 2 == 0 ? block : 1 + random() % 600;
    step.list = std::make_unique<RandomList>(step.length.value(), random,
                                             step.length.value() % unit == 0 ? unit : 1);
    step.list->fill(random);
  }
  return step;
}

// Brings the image up to date, or says what is wrong.
const char* judge(const Step& step, Image& image) {
  std::byte* const at = image.data() + step.offset.value();
  const std::size_t length = step.length.value();
  if (step.result == IoStatus::not_supported) {
    return step.kind == Step::Kind::zero || step.kind == Step::Kind::zero_unmap ||
                   step.kind == Step::Kind::status
               ? nullptr
               : "an operation that must work is not supported";
  }
  if (!ok(step.result)) {
    return to_string(step.result);
  }
  switch (step.kind) {
    case Step::Kind::read:
      return std::memcmp(step.list->bytes().data(), at, length) == 0 ? nullptr : "wrong data";
    case Step::Kind::write:
    case Step::Kind::durable_write:
      std::memcpy(at, step.list->bytes().data(), length);
      return nullptr;
    case Step::Kind::zero:
    case Step::Kind::zero_unmap:
    case Step::Kind::discard:
      std::memset(at, 0, length);
      return nullptr;
    case Step::Kind::flush:
      return nullptr;
    case Step::Kind::status:
      for (const Extent& extent : step.extents) {
        const std::byte* const hole = image.data() + extent.offset.value();
        if (!extent.allocated && std::any_of(hole, hole + extent.length.value(),
                                             [](std::byte byte) { return byte != std::byte{0}; })) {
          return "data in what is called a hole";
        }
      }
      return nullptr;
  }
  return "unknown operation";
}

Image read_all(Lab& lab, Backend& backend) {
  Image image(size.value());
  const Flat flat{image};
  const IoStatus status = lab.run(backend.read(Bytes{}, flat.view()));
  return ok(status) ? image : Image{};
}

std::set<std::string_view> tested;  // kinds

void random_operations(const StoreConfig& config, Bytes block, bool reopens) {
  tested.insert(config.kind->name);
  const std::uint64_t drawn = seed();
  Random random{drawn};
  Lab lab;
  Image image(size.value());
  std::unique_ptr<Backend> backend = open_now(config, lab.context(size, block)).value();
  {  // A block device begins with whatever it held.
    const Flat flat{image};
    assert_int_equal(lab.run(backend->write(Bytes{}, flat.view(), Fua::no)), IoStatus::ok);
  }
  const char* wrong = nullptr;
  for (int round = 0; round < 150 && wrong == nullptr; ++round) {
    std::array<Step, slots> steps;
    co::TaskGroup group{lab.executor()};
    for (std::size_t slot = 0; slot < slots; ++slot) {
      steps[slot] = draw(slot, block.value(), backend->capabilities(), random);
      group.spawn("step", perform(backend.get(), &steps[slot]));
    }
    lab.drain(group);
    for (const Step& step : steps) {
      wrong = wrong != nullptr ? wrong : judge(step, image);
    }
  }
  const bool same = read_all(lab, *backend) == image;
  lab.run(backend->close());
  backend.reset();
  if (reopens) {
    backend = open_now(config, lab.context(size, block)).value();
    const bool same_again = read_all(lab, *backend) == image;
    lab.run(backend->close());
    backend.reset();
    assert_true(same_again);
  }
  if (wrong != nullptr) {
    print_error("%s\n", wrong);
  }
  assert_null(wrong);
  assert_true(same);
}

void memory_keeps_the_contract(void**) {
  StoreConfig config;
  config.kind = find_kind("memory");
  random_operations(config, Bytes{512}, false);
}

void a_file_without_the_page_cache_keeps_the_contract(void**) {
  const Folder folder;
  const StoreConfig config = store_config(file_config(folder.file("vol"), CacheMode::direct));
  if (!check_file(config.file)) {
    skip();
  }
  random_operations(config, Bytes{512}, true);
}

void a_file_with_4096_byte_blocks_keeps_the_contract(void**) {
  const Folder folder;
  const StoreConfig config = store_config(file_config(folder.file("vol"), CacheMode::direct));
  if (!check_file(config.file)) {
    skip();
  }
  random_operations(config, Bytes{4096}, true);
}

void a_buffered_file_keeps_the_contract(void**) {
  const Folder folder;
  random_operations(store_config(file_config(folder.file("vol"), CacheMode::buffered)), Bytes{512},
                    true);
}

void a_file_in_memory_keeps_the_contract(void**) {
  const Folder folder{"/dev/shm"};
  random_operations(store_config(file_config(folder.file("vol"), CacheMode::buffered)), Bytes{512},
                    true);
}

void a_block_device_keeps_the_contract(void**) {
  const LoopDevice device{size};
  if (device.path().empty()) {
    skip();
  }
  random_operations(store_config(file_config(device.path(), CacheMode::direct)), Bytes{512}, true);
}

void a_buffered_block_device_keeps_the_contract(void**) {
  const LoopDevice device{size};
  if (device.path().empty()) {
    skip();
  }
  random_operations(store_config(file_config(device.path(), CacheMode::buffered)), Bytes{512},
                    true);
}

StoreConfig nbd_config(const std::string& socket) {
  StoreConfig config;
  config.kind = find_kind("nbd");
  config.nbd.server = socket;
  return config;
}

void an_export_of_nbdkit_keeps_the_contract(void**) {
  const Folder folder;
  if (!nbd_test::has_program("nbdkit")) {
    skip();
  }
  const std::string socket = folder.file("memory.sock");
  const nbd_test::Server server{nbd_test::Server::nbdkit(socket, {"memory", "size=1536k"}),
                                socket + ".pid"};
  random_operations(nbd_config(socket), Bytes{512}, true);
  random_operations(nbd_config(socket), Bytes{4096}, true);
}

void several_connections_to_nbdkit_keep_the_contract(void**) {
  const Folder folder;
  if (!nbd_test::has_program("nbdkit")) {
    skip();
  }
  const std::string socket = folder.file("memory.sock");
  const nbd_test::Server server{
      nbd_test::Server::nbdkit(socket, {"--filter=blocksize-policy", "memory", "size=1536k",
                                        "blocksize-maximum=64k", "blocksize-error-policy=error"}),
      socket + ".pid"};
  StoreConfig config = nbd_config(socket);
  config.nbd.connections = 4;
  random_operations(config, Bytes{512}, true);
}

void an_export_of_qemu_nbd_keeps_the_contract(void**) {
  const Folder folder;
  if (!nbd_test::has_program("qemu-nbd")) {
    skip();
  }
  const std::string socket = folder.file("qemu.sock");
  const std::string file = folder.file("vol");
  std::ofstream{file}.flush();
  std::filesystem::resize_file(file, size.value());
  const nbd_test::Server server{nbd_test::Server::qemu_nbd(socket, file), socket + ".pid"};
  random_operations(nbd_config(socket), Bytes{512}, true);
  random_operations(nbd_config(socket), Bytes{4096}, true);
}

// tests/rbd/cluster starts a Ceph and tells where it is. There make check-rbd runs this test.
void an_image_in_ceph_keeps_the_contract(void**) {
  StoreConfig config;
  config.kind = find_kind("rbd");
  config.rbd.image = "rbd/contract";
  const char* const cluster = std::getenv("CEPH_CONF");
  if (std::getenv("BALLAST_CEPH") == nullptr || cluster == nullptr) {
    tested.insert(config.kind->name);
    skip();
  }
  config.rbd.conf = cluster;
  assert_int_equal(std::system("timeout 20 rbd create rbd/contract --size 2M --object-size 64K"),
                   0);
  random_operations(config, Bytes{512}, true);
}

// As label_test.cpp asks it of files and block devices.
void an_image_in_ceph_keeps_its_label(void**) {
  const char* const cluster = std::getenv("CEPH_CONF");
  if (std::getenv("BALLAST_CEPH") == nullptr || cluster == nullptr) {
    skip();
  }
  StoreOrder order;
  order.config.kind = find_kind("rbd");
  order.config.rbd.image = "rbd/labelled";
  order.config.rbd.conf = cluster;
  order.lun = "vol0";
  order.size = size;
  order.logical_block = Bytes{512};
  assert_int_equal(std::system("timeout 20 rbd create rbd/labelled --size 2M"), 0);
  Lab lab;
  // Writes a label and closes the image. Returns the label that was there, or what is wrong.
  const auto exchange = [&](bool has_log, std::optional<Label> label) -> Result<Label> {
    order.has_log = has_log;
    auto source = open(order, lab.context(size, Bytes{512})).value();
    if (source->wait(std::chrono::minutes{10}) != StoreSource::State::opened) {
      return source->error();
    }
    const Store store = source->take();
    const Result<void> written = lab.run(store.backend->write_label(std::move(label)));
    lab.run(store.backend->close());
    return written ? Result<Label>{store.label.value_or(Label{})} : written.error();
  };
  Label log{.owner = 7, .host = "gate-1", .path = "/fast/vol0.log"};
  log.log.fill(0xa5);
  const Label abandoned{.owner = 8, .host = "gate-1", .path = ""};
  assert_true(exchange(false, log).value() == Label{});
  assert_int_equal(exchange(false, std::nullopt).error().errno_value, EBUSY);
  assert_true(exchange(true, abandoned).value() == log);
  assert_true(exchange(false, std::nullopt).value() == abandoned);
  assert_true(exchange(false, std::nullopt).value() == Label{});
  order.config.rbd.lock = RbdLock::none;
  assert_int_equal(exchange(true, log).error().errno_value, ENOTCONN);
}

// The last test. "null" forgets what is written, and so cannot keep the contract.
void every_kind_was_tested_but_the_one_that_forgets(void**) {
  std::string kinds;
  for (const Kind& kind : backend::kinds()) {
    kinds += std::string{kind.name} + " ";
    if (kind.name != "null" && !tested.contains(kind.name)) {
      print_error("no test above is of %s\n", std::string{kind.name}.c_str());
      assert_true(false);
    }
  }
  assert_string_equal(kinds.c_str(), "file memory nbd null rbd ");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(memory_keeps_the_contract),
      cmocka_unit_test(a_file_without_the_page_cache_keeps_the_contract),
      cmocka_unit_test(a_file_with_4096_byte_blocks_keeps_the_contract),
      cmocka_unit_test(a_buffered_file_keeps_the_contract),
      cmocka_unit_test(a_file_in_memory_keeps_the_contract),
      cmocka_unit_test(a_block_device_keeps_the_contract),
      cmocka_unit_test(a_buffered_block_device_keeps_the_contract),
      cmocka_unit_test(an_export_of_nbdkit_keeps_the_contract),
      cmocka_unit_test(several_connections_to_nbdkit_keep_the_contract),
      cmocka_unit_test(an_export_of_qemu_nbd_keeps_the_contract),
      cmocka_unit_test(an_image_in_ceph_keeps_the_contract),
      cmocka_unit_test(an_image_in_ceph_keeps_its_label),
      cmocka_unit_test(every_kind_was_tested_but_the_one_that_forgets),
  };
  return cmocka_run_group_tests_name("contract", tests, nullptr, nullptr);
}
