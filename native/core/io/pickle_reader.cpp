// The opcodes of Python's pickletools that protocols 2 to 5 use for state dicts.
#include "pickle_reader.h"

#include <algorithm>
#include <cstring>

#include "../error.h"
#include "printable.h"

namespace seprog {

/// What a pickle may ask for by module and name.
struct PickledGlobal {
  enum class Kind { OrderedDict, RebuildTensor, RebuildParameter, StorageType, DType };
  const char* module;
  const char* name;
  Kind kind;
  at::ScalarType type = at::kFloat;
};

namespace {

using Kind = PickledGlobal::Kind;

constexpr PickledGlobal kGlobals[] = {
    {"collections", "OrderedDict", Kind::OrderedDict},
    {"torch._utils", "_rebuild_tensor_v2", Kind::RebuildTensor},
    {"torch._utils", "_rebuild_parameter", Kind::RebuildParameter},
    {"torch", "DoubleStorage", Kind::StorageType, at::kDouble},
    {"torch", "FloatStorage", Kind::StorageType, at::kFloat},
    {"torch", "HalfStorage", Kind::StorageType, at::kHalf},
    {"torch", "BFloat16Storage", Kind::StorageType, at::kBFloat16},
    {"torch", "LongStorage", Kind::StorageType, at::kLong},
    {"torch", "IntStorage", Kind::StorageType, at::kInt},
    {"torch", "ShortStorage", Kind::StorageType, at::kShort},
    {"torch", "CharStorage", Kind::StorageType, at::kChar},
    {"torch", "ByteStorage", Kind::StorageType, at::kByte},
    {"torch", "BoolStorage", Kind::StorageType, at::kBool},
    // Values beside the state dict in training checkpoints.
    {"torch", "float64", Kind::DType, at::kDouble},
    {"torch", "float32", Kind::DType, at::kFloat},
    {"torch", "float16", Kind::DType, at::kHalf},
    {"torch", "bfloat16", Kind::DType, at::kBFloat16},
};

constexpr uint64_t kMaxSteps = 1 << 22;
constexpr size_t kMaxRank = 8;

enum Op : unsigned char {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersistentId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kBinFloat = 'G',
  kEmptyTuple = ')',
  kEmptyList = ']',
  kEmptyDict = '}',
  kProtocol = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

}  // namespace

const PickledValue* PickledDict::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    const auto* text = std::get_if<std::string_view>(&name);
    if (text != nullptr && *text == key) return &value;
  }
  return nullptr;
}

/// The stack machine. Its memory is at most a constant times the steps it takes.
class PickleMachine {
 public:
  PickleMachine(Pickle& pickle, std::string_view bytes, std::string where)
      : pickle_(pickle), bytes_(bytes), where_(std::move(where)) {}

  /// What follows the pickle.
  std::string_view run() {
    for (uint64_t steps = 0; steps < kMaxSteps; ++steps) {
      const auto op = static_cast<unsigned char>(take(1)[0]);
      if (op == kStop) {
        pickle_.value_ = pop();
        return bytes_.substr(at_);
      }
      step(op);
    }
    refuse("a pickle of at most " + std::to_string(kMaxSteps) + " operations", "more");
  }

 private:
  [[noreturn]] void refuse(const std::string& wanted, const std::string& got) const {
    fail(ErrorCode::CheckpointInvalid, "expected " + wanted + " for `" + where_ + "` but received " + got);
  }
  [[noreturn]] void malformed(const std::string& wanted) const {
    refuse(wanted, "something else before byte " + std::to_string(at_) + "; the file is damaged");
  }
  [[noreturn]] void asksForCode(const std::string& what) const {
    refuse("tensors in dictionaries",
           what +
               ", which a state dict has no need of; nothing was run. Do not load this file with a reader "
               "that runs code unless you trust its source");
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) {
      refuse(std::to_string(count) + " bytes from byte " + std::to_string(at_),
             std::to_string(bytes_.size() - at_) + "; the pickle is truncated");
    }
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }

  /// Little-endian.
  uint64_t takeNumber(uint64_t count) {
    uint64_t value = 0;
    const std::string_view digits = take(count);
    for (uint64_t i = 0; i < count; ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(digits[i])) << (8 * i);
    }
    return value;
  }

  std::string_view takeLine() {
    const size_t end = bytes_.find('\n', at_);
    if (end == bytes_.npos) refuse("a line", "its beginning; the pickle is truncated");
    const std::string_view line = take(end - at_);
    take(1);
    return line;
  }

  void push(PickledValue value) { stack_.push_back(value); }

  PickledValue pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) malformed("a value on the stack");
    const PickledValue value = stack_.back();
    stack_.pop_back();
    return value;
  }

  std::vector<PickledValue> popToMark() {
    if (marks_.empty()) malformed("a mark on the stack");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickledValue> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return values;
  }

  template <typename T>
  T popAs(const char* wanted) {
    const PickledValue value = pop();
    const T* typed = std::get_if<T>(&value);
    if (typed == nullptr) malformed(wanted);
    return *typed;
  }

  /// The container under a value or a run of values, which stays on the stack.
  template <typename T>
  T top(const char* wanted) {
    const T container = popAs<T>(wanted);
    push(container);
    return container;
  }

  PickledSequence* sequence(bool tuple, std::vector<PickledValue> items) {
    return &pickle_.sequences_.emplace_back(PickledSequence{tuple, std::move(items)});
  }
  void pushTuple(size_t count) {
    std::vector<PickledValue> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push(sequence(true, std::move(items)));
  }
  PickledDict* dict(bool ordered) { return &pickle_.dicts_.emplace_back(PickledDict{ordered, {}}); }

  void memoize(uint64_t index) {
    const PickledValue value = pop();
    push(value);
    memo_[index] = value;
  }
  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) malformed("memo entry " + std::to_string(index));
    push(found->second);
  }

  void step(unsigned char op) {
    switch (op) {
      case kProtocol:
        if (const uint64_t protocol = takeNumber(1); protocol < 2 || protocol > 5) {
          refuse("a pickle of protocol 2 to 5", std::to_string(protocol));
        }
        return;
      case kFrame:
        take(8);
        return;
      case kMark:
        return marks_.push_back(stack_.size());
      case kNone:
        return push(std::monostate());
      case kNewTrue:
        return push(true);
      case kNewFalse:
        return push(false);
      case kBinInt:
        return push(static_cast<int64_t>(static_cast<int32_t>(takeNumber(4))));
      case kBinInt1:
        return push(static_cast<int64_t>(takeNumber(1)));
      case kBinInt2:
        return push(static_cast<int64_t>(takeNumber(2)));
      case kLong1:
        return pushLong();
      case kBinFloat:
        return pushFloat();
      case kBinUnicode:
      case kBinString:
        return push(take(takeNumber(4)));
      case kShortBinUnicode:
      case kShortBinString:
        return push(take(takeNumber(1)));
      case kBinUnicode8:
        return push(take(takeNumber(8)));
      case kEmptyTuple:
        return pushTuple(0);
      case kTuple1:
        return pushTuple(1);
      case kTuple2:
        return pushTuple(2);
      case kTuple3:
        return pushTuple(3);
      case kTuple:
        return push(sequence(true, popToMark()));
      case kEmptyList:
        return push(sequence(false, {}));
      case kEmptyDict:
        return push(dict(false));
      case kAppend:
        return append({pop()});
      case kAppends:
        return append(popToMark());
      case kSetItem: {
        const PickledValue value = pop();
        return setItems({pop(), value});
      }
      case kSetItems:
        return setItems(popToMark());
      case kBinPut:
        return memoize(takeNumber(1));
      case kLongBinPut:
        return memoize(takeNumber(4));
      case kMemoize:
        return memoize(memo_.size());
      case kBinGet:
        return recall(takeNumber(1));
      case kLongBinGet:
        return recall(takeNumber(4));
      case kGlobal: {
        const std::string_view module = takeLine();
        return pushGlobal(module, takeLine());
      }
      case kStackGlobal: {
        const auto name = popAs<std::string_view>("a global's name");
        return pushGlobal(popAs<std::string_view>("a global's module"), name);
      }
      case kBinPersistentId:
        return pushStorage();
      case kReduce:
        return reduce();
      case kBuild:
        return build();
      default:
        return refuseOp(op);
    }
  }

  [[noreturn]] void refuseOp(unsigned char op) const {
    struct Named {
      unsigned char op;
      const char* name;
    };
    constexpr Named kCode[] = {{'i', "INST"},       {'o', "OBJ"},    {0x81, "NEWOBJ"},
                               {0x92, "NEWOBJ_EX"}, {0x82, "EXT1"},  {0x83, "EXT2"},
                               {0x84, "EXT4"},      {'P', "PERSID"}, {0x97, "NEXT_BUFFER"}};
    for (const Named& known : kCode) {
      if (known.op == op) asksForCode(std::string("the operation ") + known.name);
    }
    refuse("an operation that state dicts are written with",
           "operation " + std::to_string(op) + " before byte " + std::to_string(at_));
  }

  void pushLong() {
    const std::string_view digits = take(takeNumber(1));
    if (digits.size() > 8) return push(PickledLong{digits});
    uint64_t value = 0;
    for (size_t i = 0; i < digits.size(); ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(digits[i])) << (8 * i);
    }
    if (!digits.empty() && digits.size() < 8 && (static_cast<unsigned char>(digits.back()) & 0x80) != 0) {
      value |= ~uint64_t{0} << (8 * digits.size());
    }
    push(static_cast<int64_t>(value));
  }

  void pushFloat() {
    uint64_t bits = 0;
    for (const char digit : take(8)) bits = bits << 8 | static_cast<unsigned char>(digit);
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    push(value);
  }

  void append(const std::vector<PickledValue>& values) {
    auto* list = top<PickledSequence*>("a list");
    if (list->tuple) malformed("a list");
    list->items.insert(list->items.end(), values.begin(), values.end());
  }

  void setItems(const std::vector<PickledValue>& values) {
    if (values.size() % 2 != 0) malformed("pairs of keys and values");
    auto* target = top<PickledDict*>("a dictionary");
    for (size_t i = 0; i < values.size(); i += 2) target->items.emplace_back(values[i], values[i + 1]);
  }

  void pushGlobal(std::string_view module, std::string_view name) {
    for (const PickledGlobal& known : kGlobals) {
      if (module == known.module && name == known.name) return push(&known);
    }
    asksForCode(printable(module) + "." + printable(name));
  }

  /// ("storage", type, key, location, elements) and, in the legacy format, a view that must be None.
  void pushStorage() {
    const auto* id = popAs<PickledSequence*>("a storage");
    const auto& items = id->items;
    if (items.size() < 5 || items.size() > 6) malformed("a storage of 5 or 6 parts");
    const auto* tag = std::get_if<std::string_view>(items.data());
    const auto* type = std::get_if<const PickledGlobal*>(&items[1]);
    const auto* key = std::get_if<std::string_view>(&items[2]);
    const auto* elements = std::get_if<int64_t>(&items[4]);
    if (tag == nullptr || *tag != "storage" || type == nullptr || (*type)->kind != Kind::StorageType ||
        key == nullptr || elements == nullptr || *elements < 0) {
      malformed("a storage with its type, key and number of elements");
    }
    if (items.size() == 6 && !std::holds_alternative<std::monostate>(items[5])) {
      refuse("whole storages", "a view of a storage; written by torch before 0.4, save it anew");
    }
    push(&pickle_.storages_.emplace_back(PickledStorage{*key, (*type)->type, *elements}));
  }

  void reduce() {
    const auto* arguments = popAs<PickledSequence*>("arguments of a call");
    const auto* callable = popAs<const PickledGlobal*>("a name to call");
    if (!arguments->tuple) malformed("a tuple of arguments");
    switch (callable->kind) {
      case Kind::OrderedDict:
        if (!arguments->items.empty()) malformed("collections.OrderedDict without arguments");
        return push(dict(true));
      case Kind::RebuildTensor:
        return rebuildTensor(arguments->items);
      case Kind::RebuildParameter:
        return rebuildParameter(arguments->items);
      case Kind::StorageType:
      case Kind::DType:
        asksForCode(std::string("a call of ") + callable->module + "." + callable->name);
    }
  }

  /// A module's state dict carries its version numbers as an attribute; nothing here has need of them.
  void build() {
    const PickledValue state = pop();
    const PickledValue target = pop();
    const auto* const* attributes = std::get_if<PickledDict*>(&state);
    const auto* const* object = std::get_if<PickledDict*>(&target);
    const bool harmless = object != nullptr && (*object)->ordered && attributes != nullptr &&
                          (*attributes)->items.size() == 1 && (*attributes)->find("_metadata") != nullptr;
    if (!harmless) asksForCode("the operation BUILD on something other than a state dict's _metadata");
    push(target);
  }

  std::vector<int64_t> counts(const PickledValue& value, const char* wanted) const {
    const auto* const* tuple = std::get_if<PickledSequence*>(&value);
    if (tuple == nullptr || !(*tuple)->tuple || (*tuple)->items.size() > kMaxRank) malformed(wanted);
    std::vector<int64_t> out;
    for (const PickledValue& item : (*tuple)->items) {
      const auto* count = std::get_if<int64_t>(&item);
      if (count == nullptr || *count < 0) malformed(wanted);
      out.push_back(*count);
    }
    return out;
  }

  /// Hooks would be code to run at each gradient: there are none.
  void checkNoHooks(const PickledValue& value) const {
    const auto* const* hooks = std::get_if<PickledDict*>(&value);
    if (hooks == nullptr || !(*hooks)->items.empty()) malformed("a tensor without hooks");
  }

  /// (storage, offset, sizes, strides, requires_grad, hooks[, metadata])
  void rebuildTensor(const std::vector<PickledValue>& arguments) {
    if (arguments.size() < 6 || arguments.size() > 7) malformed("a tensor of 6 or 7 parts");
    const auto* storage = std::get_if<const PickledStorage*>(arguments.data());
    const auto* offset = std::get_if<int64_t>(&arguments[1]);
    if (storage == nullptr || offset == nullptr || *offset < 0) malformed("a tensor's storage and offset");
    checkNoHooks(arguments[5]);
    PickledTensor tensor{*storage, *offset, counts(arguments[2], "sizes of 0 or more"),
                         counts(arguments[3], "strides of 0 or more")};
    if (tensor.sizes.size() != tensor.strides.size()) malformed("as many strides as sizes");
    checkReach(tensor);
    push(&pickle_.tensors_.emplace_back(std::move(tensor)));
  }

  void checkReach(const PickledTensor& tensor) const {
    int64_t elements = 1;
    int64_t last = tensor.offset;
    bool fits = true;
    for (size_t i = 0; i < tensor.sizes.size(); ++i) {
      int64_t reach = 0;
      fits = fits && !__builtin_mul_overflow(elements, tensor.sizes[i], &elements) &&
             !__builtin_mul_overflow(std::max<int64_t>(tensor.sizes[i] - 1, 0), tensor.strides[i], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    const int64_t held = tensor.storage->elements;
    if (fits && elements == 0) fits = tensor.offset <= held;
    if (fits && elements > 0) fits = elements <= held && last < held;
    if (!fits) {
      refuse("a tensor within its storage of " + std::to_string(held) + " elements",
             "one that reaches beyond it, in storage \"" + printable(tensor.storage->key) + "\"");
    }
  }

  /// (tensor, requires_grad, hooks)
  void rebuildParameter(const std::vector<PickledValue>& arguments) {
    if (arguments.size() != 3 || !std::holds_alternative<const PickledTensor*>(arguments[0])) {
      malformed("a parameter's tensor");
    }
    checkNoHooks(arguments[2]);
    push(arguments[0]);
  }

  Pickle& pickle_;
  std::string_view bytes_;
  std::string where_;
  uint64_t at_ = 0;
  std::vector<PickledValue> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickledValue> memo_;
};

Pickle::Pickle(std::string_view bytes, std::string where, std::string_view* rest) {
  const std::string_view after = PickleMachine(*this, bytes, std::move(where)).run();
  if (rest != nullptr) *rest = after;
}

}  // namespace seprog
